//! The table of roles and permissions against its golden copy, and the decisions that follow from grants.

use clinical::access::{
    Decision, Grant, Listing, Permission, Reach, Role, Scope, decide, holds, listing, may,
};

const SITE_A1: Scope<'static> = Scope {
    study: Some("A"),
    site: Some("A1"),
    subject: Some("s1"),
};
const SITE_A2: Scope<'static> = Scope {
    study: Some("A"),
    site: Some("A2"),
    subject: Some("s2"),
};
const SITE_B1: Scope<'static> = Scope {
    study: Some("B"),
    site: Some("B1"),
    subject: Some("s3"),
};
const STUDY_A: Scope<'static> = Scope {
    study: Some("A"),
    site: None,
    subject: None,
};
const STUDY_B: Scope<'static> = Scope {
    study: Some("B"),
    site: None,
    subject: None,
};
const PLATFORM: Scope<'static> = Scope {
    study: None,
    site: None,
    subject: None,
};

fn grant(role: Role, study: Option<&str>, site: Option<&str>) -> Grant {
    Grant {
        role,
        study: study.map(str::to_owned),
        site: site.map(str::to_owned),
    }
}

#[test]
fn r_15_every_role_has_exactly_the_permissions_of_the_golden_table() {
    let mut reader = csv::Reader::from_reader(include_str!("vectors/access.csv").as_bytes());
    let roles: Vec<Role> = reader
        .headers()
        .unwrap()
        .iter()
        .skip(1)
        .map(|name| name.parse().unwrap())
        .collect();
    assert_eq!(roles, Role::ALL);
    let mut seen = Vec::new();
    for row in reader.records() {
        let row = row.unwrap();
        let permission: Permission = row[0].parse().unwrap();
        seen.push(permission);
        for (role, cell) in roles.iter().zip(row.iter().skip(1)) {
            let expected = match cell {
                "yes" => Reach::Granted,
                "own" => Reach::Own,
                "-" => Reach::None,
                other => panic!("unknown cell {other}"),
            };
            assert_eq!(may(*role, permission), expected, "{role} {permission}");
        }
    }
    assert_eq!(seen, Permission::ALL);
}

#[test]
fn r_20_neither_sponsor_nor_administrator_writes_or_identifies_subjects() {
    for role in [Role::Admin, Role::Sponsor, Role::Monitor] {
        for permission in [
            Permission::SubjectWrite,
            Permission::ResponseWrite,
            Permission::SubjectIdentify,
            Permission::AlertAcknowledge,
        ] {
            let everything = [grant(role, None, None)];
            assert_eq!(
                decide(&everything, None, permission, SITE_A1),
                Decision::Deny,
                "{role} {permission}"
            );
        }
    }
}

#[test]
fn r_15_another_sites_subject_does_not_exist() {
    for role in [Role::Investigator, Role::Coordinator, Role::Monitor] {
        let grants = [grant(role, Some("A"), Some("A1"))];
        let read = |scope| decide(&grants, None, Permission::SubjectRead, scope);
        assert_eq!(
            (read(SITE_A1), read(SITE_A2), read(SITE_B1)),
            (Decision::Allow, Decision::Hidden, Decision::Hidden)
        );
    }
}

/// All roles and permissions on an object of another site: never allowed, and told apart from nothing.
#[test]
fn r_15_no_permission_reaches_out_of_its_site() {
    for role in Role::ALL {
        for &permission in Permission::ALL {
            let grants = [grant(role, Some("A"), Some("A1"))];
            for scope in [SITE_A2, SITE_B1] {
                let decision = decide(&grants, Some("s1"), permission, scope);
                let library = permission.as_str() == "questionnaire.read" && scope == SITE_A2;
                let study = permission.as_str() == "study.read"
                    && scope == SITE_A2
                    && role != Role::Patient;
                let expected = if library || study {
                    Decision::Allow
                } else if holds(&grants, permission) {
                    Decision::Hidden
                } else {
                    Decision::Deny
                };
                assert_eq!(decision, expected, "{role} {permission} {scope:?}");
            }
        }
    }
}

#[test]
fn a_patient_reaches_the_own_subject_only() {
    let grants = [grant(Role::Patient, Some("A"), Some("A1"))];
    let respond = |own, scope| decide(&grants, own, Permission::ResponseWrite, scope);
    assert_eq!(respond(Some("s1"), SITE_A1), Decision::Allow);
    let other = Scope {
        subject: Some("s9"),
        ..SITE_A1
    };
    assert_eq!(respond(Some("s1"), other), Decision::Hidden);
    assert_eq!(respond(None, SITE_A1), Decision::Hidden);
    assert_eq!(
        respond(
            None,
            Scope {
                subject: None,
                ..SITE_A1
            }
        ),
        Decision::Hidden
    );
    assert_eq!(
        decide(&grants, Some("s1"), Permission::SubjectWrite, SITE_A1),
        Decision::Deny
    );
    assert_eq!(
        decide(&grants, Some("s1"), Permission::QuestionnaireRead, PLATFORM),
        Decision::Allow
    );
}

#[test]
fn a_site_grant_reads_its_study_but_not_what_else_belongs_to_the_whole_of_it() {
    let grants = [grant(Role::Investigator, Some("A"), Some("A1"))];
    assert_eq!(
        decide(&grants, None, Permission::StudyRead, STUDY_A),
        Decision::Allow
    );
    assert_eq!(
        decide(&grants, None, Permission::StudyRead, STUDY_B),
        Decision::Hidden
    );
    assert_eq!(
        decide(&grants, None, Permission::AuditRead, STUDY_A),
        Decision::Deny
    );
}

#[test]
fn what_belongs_to_the_installation_needs_a_grant_for_everything() {
    let everywhere = [grant(Role::Admin, None, None)];
    let one_study = [grant(Role::Admin, Some("A"), None)];
    for permission in [
        Permission::AccountWrite,
        Permission::StudyWrite,
        Permission::QuestionnaireWrite,
    ] {
        assert_eq!(
            decide(&everywhere, None, permission, PLATFORM),
            Decision::Allow
        );
        assert_eq!(
            decide(&one_study, None, permission, PLATFORM),
            Decision::Deny
        );
    }
}

/// A right at one place does not combine with a view of another.
#[test]
fn grants_do_not_lend_each_other_their_places() {
    let grants = [
        grant(Role::Coordinator, Some("A"), Some("A1")),
        grant(Role::Monitor, Some("A"), Some("A2")),
    ];
    assert_eq!(
        decide(&grants, None, Permission::SubjectWrite, SITE_A1),
        Decision::Allow
    );
    assert_eq!(
        decide(&grants, None, Permission::SubjectWrite, SITE_A2),
        Decision::Deny
    );
    assert_eq!(
        decide(&grants, None, Permission::SubjectWrite, SITE_B1),
        Decision::Hidden
    );
}

#[test]
fn no_grants_and_unsound_grants_allow_nothing() {
    let unsound = [grant(Role::Admin, None, Some("A1"))];
    for &permission in Permission::ALL {
        assert_eq!(decide(&[], Some("s1"), permission, SITE_A1), Decision::Deny);
        assert_ne!(decide(&unsound, None, permission, SITE_A1), Decision::Allow);
        assert!(listing(&unsound, None, permission).is_empty());
    }
}

/// Lists and single reads must never disagree, or one of them leaks.
#[test]
fn r_15_a_list_holds_exactly_what_may_be_read_one_by_one() {
    let places = [
        (None, None),
        (Some("A"), None),
        (Some("A"), Some("A1")),
        (Some("B"), Some("B1")),
    ];
    for role in Role::ALL {
        for other in Role::ALL {
            for (study, site) in places {
                let grants = [
                    grant(role, study, site),
                    grant(other, Some("A"), Some("A2")),
                ];
                for &permission in Permission::ALL {
                    for scope in [SITE_A1, SITE_A2, SITE_B1, STUDY_A, STUDY_B] {
                        let own = grants
                            .iter()
                            .find(|grant| grant.role == Role::Patient)
                            .and(Some("s2"));
                        let single = decide(&grants, own, permission, scope) == Decision::Allow;
                        let listed = listing(&grants, own, permission).contains(scope);
                        assert_eq!(
                            listed, single,
                            "{role} {other} {study:?} {site:?} {permission} {scope:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_unrestricted_grant_lists_everything_and_a_site_grant_its_site() {
    let everything = [grant(Role::Sponsor, None, None)];
    assert_eq!(
        listing(&everything, None, Permission::SubjectRead),
        Listing::Everything
    );
    let site = [grant(Role::Coordinator, Some("A"), Some("A1"))];
    assert_eq!(
        listing(&site, None, Permission::SubjectRead),
        Listing::Parts {
            places: vec![("A", Some("A1"))],
            own: vec![]
        }
    );
}

/// Whoever gives an account the subject of a study must have a say in that study.
#[test]
fn r_15_a_patient_lists_the_own_subject_in_the_granted_study_only() {
    let grants = [grant(Role::Patient, Some("B"), None)];
    let subject = SITE_A1.subject;
    let listed = listing(&grants, subject, Permission::ResponseRead);
    assert!(!listed.contains(SITE_A1));
    assert!(listed.contains(Scope { subject, ..SITE_B1 }));
    let nobody = listing(&grants, None, Permission::ResponseRead);
    assert!(nobody.is_empty());
}

#[test]
fn names_are_read_back_and_others_refused() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
    for &permission in Permission::ALL {
        assert_eq!(
            permission.as_str().parse::<Permission>().unwrap(),
            permission
        );
        assert_eq!(
            serde_json::to_value(permission).unwrap(),
            permission.as_str()
        );
    }
    assert!("root".parse::<Role>().is_err());
    assert!("subject.delete".parse::<Permission>().is_err());
}
