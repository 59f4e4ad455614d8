//! A name server over UDP, by hand: answers from a table, or misbehaves when it is told to.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::net::UdpSocket;

/// A record of the table.
#[derive(Clone)]
pub(crate) enum Record {
    Address(IpAddr),
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: &'static str,
    },
}

/// How questions are answered.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// SERVFAIL.
    Failing,
    Silent,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

#[derive(Clone)]
pub(crate) struct NameServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    records: BTreeMap<String, Vec<Record>>,
    ttl: u32,
    mood: Mood,
    asked_at: Vec<Instant>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                records: BTreeMap::new(),
                ttl: 0,
                mood: Mood::Well,
                asked_at: Vec::new(),
            })),
        };
        let state = server.state.clone();
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (count, from) = socket.recv_from(&mut packet).await.unwrap();
                let reply = state.lock().unwrap().reply(&packet[..count]);
                if let Some(reply) = reply {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        server
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What is answered for a name; nothing at all makes the name unknown.
    pub(crate) fn set(&self, name: &str, records: &[Record]) {
        let mut state = self.state.lock().unwrap();
        if records.is_empty() {
            state.records.remove(name);
        } else {
            state.records.insert(name.to_owned(), records.to_vec());
        }
    }

    pub(crate) fn addresses(&self, name: &str, addresses: &[&str]) {
        let records = addresses
            .iter()
            .map(|text| Record::Address(text.parse().unwrap()));
        self.set(name, &records.collect::<Vec<_>>());
    }

    pub(crate) fn ttl(&self, seconds: u32) {
        self.state.lock().unwrap().ttl = seconds;
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// When it was asked.
    pub(crate) fn asked_at(&self) -> Vec<Instant> {
        self.state.lock().unwrap().asked_at.clone()
    }
}

impl State {
    fn reply(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.asked_at.push(Instant::now());
        let (name, end) = read_name(packet, 12);
        let kind = u16::from_be_bytes([packet[end], packet[end + 1]]);
        let code = match self.mood {
            Mood::Silent => return None,
            Mood::Failing => SERVFAIL,
            Mood::Well if self.records.contains_key(&name) => 0,
            Mood::Well => NXDOMAIN,
        };
        let records = self.records.get(&name).filter(|_| code == 0);
        let answers: Vec<_> = records
            .into_iter()
            .flatten()
            .filter_map(|record| {
                let (of, data) = encode(record);
                (of == kind).then_some(data)
            })
            .collect();
        let mut reply = packet[..2].to_vec();
        // A response, recursion desired and available.
        reply.extend([0x81, 0x80 | code]);
        reply.extend([0, 1]);
        reply.extend(u16::try_from(answers.len()).unwrap().to_be_bytes());
        reply.extend([0, 0, 0, 0]);
        reply.extend(&packet[12..end + 4]);
        for data in answers {
            // The name is that of the question.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1]);
            reply.extend(self.ttl.to_be_bytes());
            reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            reply.extend(data);
        }
        Some(reply)
    }
}

fn encode(record: &Record) -> (u16, Vec<u8>) {
    match record {
        Record::Address(IpAddr::V4(ip)) => (A, ip.octets().to_vec()),
        Record::Address(IpAddr::V6(ip)) => (AAAA, ip.octets().to_vec()),
        Record::Service {
            priority,
            weight,
            port,
            target,
        } => {
            let mut data = Vec::new();
            for number in [priority, weight, port] {
                data.extend(number.to_be_bytes());
            }
            for label in target.split('.') {
                data.push(u8::try_from(label.len()).unwrap());
                data.extend(label.as_bytes());
            }
            data.push(0);
            (SRV, data)
        }
    }
}

fn read_name(packet: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        let label = String::from_utf8(packet[at + 1..=at + length].to_vec()).unwrap();
        labels.push(label.to_lowercase());
        at += length + 1;
    }
    (labels.join("."), at + 1)
}
