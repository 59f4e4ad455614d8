//! The instruments that come with the platform; their wording is free by its owner's terms.

/// One shipped questionnaire.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The short name, as `phq9`.
    pub name: &'static str,
    /// The FHIR R4 Questionnaire as JSON text.
    pub json: &'static str,
}

/// All shipped questionnaires; `instruments/README.md` says where each comes from.
pub fn shipped() -> &'static [Shipped] {
    &[
        Shipped {
            name: "phq9",
            json: include_str!("../../instruments/phq9.json"),
        },
        Shipped {
            name: "phq8",
            json: include_str!("../../instruments/phq8.json"),
        },
        Shipped {
            name: "gad7",
            json: include_str!("../../instruments/gad7.json"),
        },
    ]
}
