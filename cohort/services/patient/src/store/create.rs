//! Keeping a new subject: its person, what is sealed, its first episode and the audit record, in
//! one write.

use clinical::subject::Status;
use serde_json::{Value, json};
use tenon::{
    Result, Timestamp,
    store::{
        Tx, args,
        audit::{self, Record},
        seal::{self, BlindIndex, Keyring, Sealed},
    },
};
use uuid::Uuid;

use crate::{new_subject::NewSubject, subject::place};

/// A subject that is to be kept. All that does not need the database is made before the write.
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) new: NewSubject,
    pub(crate) time_zone: String,
    pub(crate) now: Timestamp,
    record: Record,
    /// The person, unless the identity number is known.
    person_id: String,
    identity_index: Option<BlindIndex>,
    phone_index: Option<BlindIndex>,
    content_index: BlindIndex,
}

/// What became of a draft.
pub(crate) enum Kept {
    /// It was kept, for this person.
    New {
        /// The person.
        person_id: String,
    },
    /// Its subject number was used before.
    Before {
        /// The subject that has it.
        id: String,
        /// Where that one is.
        site_id: String,
        /// Whether it was created by the same request.
        is_same: bool,
    },
}

/// The sealed values of a subject.
struct SealedIdentity {
    name: Option<Sealed>,
    identity_number: Option<Sealed>,
    phone: Option<Sealed>,
}

impl Draft {
    /// A draft with a new id; `record` is filled in when it is kept.
    pub(crate) fn new(
        id: String,
        new: NewSubject,
        time_zone: String,
        ring: &Keyring,
        record: Record,
    ) -> Self {
        let index = |column, value: &Option<zeroize::Zeroizing<String>>| {
            value.as_ref().map(|value| ring.blind_index(column, value))
        };
        Self {
            id,
            person_id: Uuid::now_v7().to_string(),
            identity_index: index("person.identity_number", &new.identity_number),
            phone_index: index("subject.phone", &new.phone),
            content_index: ring.blind_index("subject.content", &new.content()),
            new,
            time_zone,
            now: record.time,
            record,
        }
    }

    /// Keeps it, unless its number is used.
    pub(crate) async fn keep(&self, tx: &mut Tx, ring: &Keyring) -> Result<Kept> {
        if let Some(before) = self.before(tx).await? {
            return Ok(before);
        }
        let person_id = self.person(tx).await?;
        let sealed = SealedIdentity {
            name: self.seal(tx, ring, &person_id, "name").await?,
            identity_number: self.seal(tx, ring, &person_id, "identity_number").await?,
            phone: self.seal(tx, ring, &person_id, "phone").await?,
        };
        self.insert(tx, &person_id, &sealed).await?;
        audit::append(tx, &self.record(&person_id, &sealed)).await?;
        Ok(Kept::New { person_id })
    }

    /// The subject that has the number already.
    async fn before(&self, tx: &mut Tx) -> Result<Option<Kept>> {
        const SQL: &str = "SELECT id, site_id, content_index FROM subject
            WHERE study_id = $1 AND subject_no = $2";
        let key = args![self.new.study_id, self.new.subject_no];
        let found: Option<(String, String, BlindIndex)> = tx.optional(SQL, key).await?;
        Ok(found.map(|(id, site_id, content)| Kept::Before {
            id,
            site_id,
            is_same: content == self.content_index,
        }))
    }

    /// The person with the identity number, or a new one. Whoever has no number is nobody known.
    async fn person(&self, tx: &mut Tx) -> Result<String> {
        const INSERT: &str = "INSERT INTO person (id, identity_index, created_at)
            VALUES ($1, $2, $3) ON CONFLICT (identity_index) DO NOTHING";
        const KNOWN: &str = "SELECT id FROM person WHERE identity_index = $1";
        let row = args![self.person_id, self.identity_index, self.now];
        if tx.execute(INSERT, row).await? == 1 {
            return Ok(self.person_id.clone());
        }
        tx.one(KNOWN, args![self.identity_index]).await
    }

    async fn seal(
        &self,
        tx: &mut Tx,
        ring: &Keyring,
        person: &str,
        column: &'static str,
    ) -> Result<Option<Sealed>> {
        let value = match column {
            "name" => &self.new.name,
            "identity_number" => &self.new.identity_number,
            _ => &self.new.phone,
        };
        let Some(value) = value else {
            return Ok(None);
        };
        let place = place(column, &self.id, person);
        seal::seal(tx, ring, place, value.as_bytes())
            .await
            .map(Some)
    }

    async fn insert(&self, tx: &mut Tx, person: &str, sealed: &SealedIdentity) -> Result<()> {
        const SUBJECT: &str = "INSERT INTO subject (id, person_id, study_id, site_id, subject_no,
            sex, birth_date, name, identity_number, phone, phone_index, content_index, time_zone,
            status, ever_enrolled, version, created_at, created_by, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $17)";
        const EPISODE: &str = "INSERT INTO episode
            (subject_id, number, status, began_at, moved_by, moved_by_role)
            VALUES ($1, 1, $2, $3, $4, $5)";
        let (new, status) = (&self.new, Status::Screening.code());
        let row = args![
            self.id,
            person,
            new.study_id,
            new.site_id,
            new.subject_no,
            new.sex,
            new.birth_date,
            sealed.name,
            sealed.identity_number,
            sealed.phone,
            self.phone_index,
            self.content_index,
            self.time_zone,
            status,
            false,
            1,
            self.now,
            self.record.actor
        ];
        tx.execute(SUBJECT, row).await?;
        let Record {
            actor, actor_role, ..
        } = &self.record;
        let row = args![self.id, status, self.now, actor, actor_role];
        tx.execute(EPISODE, row).await?;
        Ok(())
    }

    /// The audit record: what tells who somebody is, sealed as it is in the row.
    fn record(&self, person: &str, sealed: &SealedIdentity) -> Record {
        let mut new = json!({
            "personId": person,
            "subjectNo": self.new.subject_no,
            "sex": self.new.sex,
            "birthDate": self.new.birth_date,
            "status": Status::Screening.code(),
        });
        let values = [
            ("name", &sealed.name),
            ("identityNumber", &sealed.identity_number),
            ("phone", &sealed.phone),
        ];
        if let Value::Object(new) = &mut new {
            for (name, value) in values {
                if let Some(value) = value {
                    new.insert(name.to_owned(), value.to_json());
                }
            }
        }
        let mut record = self.record.clone();
        if self.new.sex_differs {
            let told = ("sexByIdentityNumber".to_owned(), "differs".to_owned());
            record.attributes.extend([told]);
        }
        record.new = Some(new);
        record
    }
}
