//! Messages with redacted fields: nothing prints their values, and on the wire they are what prost
//! derives for the same message without the option.

#[path = "cases/redacted/expected/contract/src/gen/rpc.rs"]
#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, reason = "in its crate all of it is public")]
mod rpc;

use std::collections::HashMap;

use proptest::prelude::*;
use rpc::{Birth, Person, Plain, PlainBirth, Sex, person, plain};
use tenon::{Personal, prost::Message};

#[test]
fn what_a_proto_redacts_is_not_shown() {
    let canary = || Personal::from("canary".to_owned());
    let mut person = Person {
        id: "S-1".to_owned(),
        name: canary(),
        phone: Some(canary()),
        addresses: vec!["canary".to_owned()].into(),
        notes: HashMap::from([("canary".to_owned(), "canary".to_owned())]).into(),
        sex: Sex::Female.into(),
        birth: Some(Birth { date: canary() }),
        r#type: canary(),
        age: 77_777.into(),
        shown: "as it is".to_owned(),
        birthday: Some(Birth { date: canary() }.into()),
        contact: Some(person::Contact::Mail(canary())),
        ..Person::default()
    };
    let shown = format!("{person:?}");
    let expected = "Person { id: \"S-1\", name: [personal], phone: Some([personal]), \
                    addresses: [personal], notes: [personal], sex: 1, \
                    birth: Some(Birth { date: [personal] }), type: [personal], \
                    shown: \"as it is\", photo: [personal],";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.contains("contact: Some(Mail([personal]))"), "{shown}");
    let desk = person::Desk {
        room: "4".to_owned(),
        kind: 0,
    };
    person.contact = Some(person::Contact::Desk(desk));
    let shown = format!("{person:#?}");
    assert!(shown.contains("room: \"4\""), "{shown}");
    assert!(
        !shown.contains("canary") && !shown.contains("77777"),
        "{shown}"
    );
}

#[test]
fn what_prost_derives_beside_fields_is_there() {
    let mut person = Person::default();
    person.set_sex(Sex::Female);
    assert_eq!((person.sex(), person.stated()), (Sex::Female, Sex::Unknown));
    person.set_stated(Sex::Female);
    assert_eq!(
        (person.stated(), person.nickname(), person.floor()),
        (Sex::Female, "", 0)
    );
    person.sex = 7;
    assert_eq!(person.sex(), Sex::Unknown);
}

#[test]
fn an_error_names_the_field_and_not_the_value() {
    // Field 2, three bytes, none of them UTF-8 with the next.
    let error = Person::decode(&b"\x12\x03ab\xff"[..])
        .unwrap_err()
        .to_string();
    assert!(error.contains("Person.name"), "{error}");
    assert!(!error.contains("ab"), "{error}");
}

/// One field as bytes: mostly one that the message has, of a wire type that mostly fits.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[a-z阿]{0,6}".prop_map(String::into_bytes),
        any::<[u8; 2]>().prop_map(Vec::from)
    ];
    let inside = prop_oneof![
        text,
        // A field of a message inside: of text, of a number.
        "[a-z]{0,3}".prop_map(|text| [&[0x0a, text.len() as u8], text.as_bytes()].concat()),
        ("[a-z]{0,3}", 0_u8..3).prop_map(|(text, number)| {
            [&[0x0a, text.len() as u8], text.as_bytes(), &[0x10, number]].concat()
        }),
        (0_u8..3, "[a-z]{0,3}").prop_map(|(key, text)| {
            let inner = [&[0x0a, text.len() as u8], text.as_bytes()].concat();
            [&[0x08, key, 0x12, inner.len() as u8], inner.as_slice()].concat()
        }),
        prop::collection::vec(0_u8..128, 0..8),
    ];
    (1_u32..46, any::<u64>(), inside, 0_u8..12).prop_map(|(tag, number, inside, odd)| {
        let mut bytes = Vec::new();
        let wire_type = match (odd, tag) {
            (0, _) => number % 8,
            (_, 15 | 18..=23 | 28..=33 | 41 | 43 | 6 | 12) => 0,
            (_, 16 | 25 | 27) => 1,
            (_, 17 | 24 | 26) => 5,
            _ => 2,
        };
        varint(u64::from(tag) << 3 | wire_type, &mut bytes);
        match wire_type {
            0 => varint(if odd > 6 { number % 3 } else { number }, &mut bytes),
            // Never NaN, which equals nothing.
            1 => bytes.extend((number >> 12).to_le_bytes()),
            5 => bytes.extend(((number >> 9) as u32 >> 9).to_le_bytes()),
            2 => {
                varint(inside.len() as u64, &mut bytes);
                bytes.extend(inside);
            }
            _ => {}
        }
        bytes
    })
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number % 0x80) as u8 | 0x80);
        number /= 0x80;
    }
    to.push(number as u8);
}

/// The same person with nothing hidden.
fn exposed(person: Person) -> Plain {
    Plain {
        id: person.id,
        name: person.name.into_exposed(),
        phone: person.phone.map(Personal::into_exposed),
        addresses: person.addresses.into_exposed(),
        notes: person.notes.into_exposed(),
        sex: person.sex,
        birth: person.birth.map(birth),
        r#type: person.r#type.into_exposed(),
        shown: person.shown,
        photo: person.photo.into_exposed(),
        scan: person.scan.map(Personal::into_exposed),
        alive: person.alive.into_exposed(),
        weight: person.weight.into_exposed(),
        height: person.height.map(Personal::into_exposed),
        age: person.age.into_exposed(),
        number: person.number.into_exposed(),
        house: person.house.into_exposed(),
        account: person.account.into_exposed(),
        east: person.east.into_exposed(),
        north: person.north.into_exposed(),
        code: person.code.into_exposed(),
        card: person.card.into_exposed(),
        level: person.level.into_exposed(),
        born: person.born.into_exposed(),
        registered: person.registered.into_exposed(),
        stated: person.stated,
        visits: person.visits.into_exposed(),
        moves: person.moves.into_exposed(),
        answers: person.answers,
        sexes: person.sexes.into_exposed(),
        birthday: person.birthday.map(|hidden| birth(hidden.into_exposed())),
        births: births(person.births),
        scans: person.scans.into_exposed(),
        children: {
            let children = person.children.into_exposed().into_iter();
            children.map(|(key, child)| (key, birth(child))).collect()
        },
        siblings: person.siblings,
        twin: person
            .twin
            .map(|twin| Box::new(exposed(*twin.into_exposed()))),
        nickname: person.nickname,
        floor: person.floor,
        contact: person.contact.map(|contact| match contact {
            person::Contact::Mail(mail) => plain::Contact::Mail(mail.into_exposed()),
            person::Contact::Desk(desk) => plain::Contact::Desk(plain::Desk {
                room: desk.room,
                kind: desk.kind,
            }),
            person::Contact::Self_(own) => plain::Contact::Self_(own),
        }),
        proof: person.proof.map(|proof| match proof {
            person::Proof::Guardian(guardian) => {
                plain::Proof::Guardian(Box::new(exposed(*guardian)))
            }
            person::Proof::Passport(number) => plain::Proof::Passport(number.into_exposed()),
            person::Proof::Certificate(hidden) => {
                plain::Proof::Certificate(birth(hidden.into_exposed()))
            }
        }),
    }
}

fn birth(birth: Birth) -> PlainBirth {
    PlainBirth {
        date: birth.date.into_exposed(),
    }
}

fn births(births: Personal<Vec<Birth>>) -> Vec<PlainBirth> {
    births.into_exposed().into_iter().map(birth).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_wire_is_what_prost_derives(fields in prop::collection::vec(field(), 0..8)) {
        let bytes = fields.concat();
        let (found, expected) = (Person::decode(&bytes[..]), Plain::decode(&bytes[..]));
        prop_assert_eq!(found.is_ok(), expected.is_ok(), "{:?} {:?}", found.err(), expected.err());
        if let (Ok(found), Ok(expected)) = (found, expected) {
            let written = found.encode_to_vec();
            prop_assert_eq!(found.encoded_len(), expected.encoded_len());
            prop_assert_eq!(written.len(), expected.encoded_len());
            // Not by the bytes: maps are written in any order.
            prop_assert_eq!(&Plain::decode(&written[..]).unwrap(), &expected);
            prop_assert_eq!(exposed(found), expected);
        }
    }
}
