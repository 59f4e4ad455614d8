//! Who may do what: roles, permissions, grants, and the decision about one object.
//!
//! A role is granted for everything, for a study, or for a site of a study. The table [`may`] says what a role may
//! do where it is granted; [`decide`] applies it to an object. An object outside all grants is hidden, so that its
//! existence is not told; inside them, a missing permission is a plain refusal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What accounts can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the installation: accounts, studies, questionnaires.
    Admin,
    /// Runs a study; sees its data under subject numbers and never writes them.
    Sponsor,
    /// Is responsible for the subjects of a site.
    Investigator,
    /// Works with the subjects of a site.
    Coordinator,
    /// Checks a site's data for the sponsor.
    Monitor,
    /// Is a subject, and sees nobody else.
    Patient,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::Sponsor,
        Self::Investigator,
        Self::Coordinator,
        Self::Monitor,
        Self::Patient,
    ];

    /// The role's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Sponsor => "sponsor",
            Self::Investigator => "investigator",
            Self::Coordinator => "coordinator",
            Self::Monitor => "monitor",
            Self::Patient => "patient",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == name)
            .ok_or(UnknownName("role"))
    }
}

/// A name that is no role or no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not known: compare the name with those listed in the guide")]
pub struct UnknownName(&'static str);

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What routes and methods ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Permission {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The permission's name in contracts.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

permissions! {
    /// See accounts and their grants.
    AccountRead = "account.read",
    /// Create, lock and reset accounts.
    AccountWrite = "account.write",
    /// Give and take roles.
    GrantWrite = "grant.write",
    /// See studies and their progress.
    StudyRead = "study.read",
    /// Create and change studies, arms and cycles.
    StudyWrite = "study.write",
    /// See sites.
    SiteRead = "site.read",
    /// Create and change sites.
    SiteWrite = "site.write",
    /// See subjects under their numbers.
    SubjectRead = "subject.read",
    /// Create subjects and move their status.
    SubjectWrite = "subject.write",
    /// See names, telephone and identity numbers.
    SubjectIdentify = "subject.identify",
    /// See questionnaires.
    QuestionnaireRead = "questionnaire.read",
    /// Add questionnaires and versions.
    QuestionnaireWrite = "questionnaire.write",
    /// See answers and scores.
    ResponseRead = "response.read",
    /// Submit answers.
    ResponseWrite = "response.write",
    /// See alerts.
    AlertRead = "alert.read",
    /// Take responsibility for an alert.
    AlertAcknowledge = "alert.acknowledge",
    /// See the audit trail.
    AuditRead = "audit.read",
}

impl Permission {
    /// Whether a grant for one site also serves for what belongs to the whole study: reading the study itself and
    /// its questionnaires. Everything else of a study concerns other sites too.
    const fn reaches_up(self) -> bool {
        matches!(self, Self::StudyRead | Self::QuestionnaireRead)
    }

    /// Whether objects of no study are open to every holder, as the library of questionnaires is.
    const fn reads_library(self) -> bool {
        matches!(self, Self::QuestionnaireRead)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == name)
            .ok_or(UnknownName("permission"))
    }
}

/// How far a permission of a role goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nowhere.
    None,
    /// To the account's own subject.
    Own,
    /// To all that the grant covers.
    Granted,
}

/// The table: what a role may do where it is granted.
pub const fn may(role: Role, permission: Permission) -> Reach {
    TABLE[permission as usize][role as usize]
}

/// One row per permission, one column per role, each in the order of its declaration.
const TABLE: [[Reach; Role::ALL.len()]; Permission::ALL.len()] = {
    use Reach::{Granted as G, None as N, Own as O};
    // Administrator, sponsor, investigator, coordinator, monitor, patient.
    [
        [G, N, N, N, N, N], // account.read
        [G, N, N, N, N, N], // account.write
        [G, N, N, N, N, N], // grant.write
        [G, G, G, G, G, N], // study.read
        [G, G, N, N, N, N], // study.write
        [G, G, G, G, G, N], // site.read
        [G, G, N, N, N, N], // site.write
        [G, G, G, G, G, O], // subject.read
        [N, N, G, G, N, N], // subject.write
        [N, N, G, G, N, N], // subject.identify
        [G, G, G, G, G, G], // questionnaire.read
        [G, G, N, N, N, N], // questionnaire.write
        [G, G, G, G, G, O], // response.read
        [N, N, G, G, N, O], // response.write
        [G, G, G, G, G, N], // alert.read
        [N, N, G, G, N, N], // alert.acknowledge
        [G, G, G, N, G, N], // audit.read
    ]
};

/// A role with the place where it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The study, or all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<String>,
    /// The site, or all of the study's. A site needs its study beside it: without one the grant covers nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// Where an object belongs. Empty for what belongs to the installation, as accounts and the list of studies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'s> {
    /// Its study.
    pub study: Option<&'s str>,
    /// Its site.
    pub site: Option<&'s str>,
    /// The subject that it is, or is about.
    pub subject: Option<&'s str>,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// The object may be known, but this may not be done: 403.
    Deny,
    /// The object must not be known to exist: 404.
    Hidden,
}

/// Whether any grant has this permission at all, for the door to ask before an object is known: if not, 403.
pub fn holds(grants: &[Grant], permission: Permission) -> bool {
    grants
        .iter()
        .any(|grant| may(grant.role, permission) != Reach::None)
}

/// Decides about one object, with all grants of an account and, for a patient's account, its own subject.
pub fn decide(
    grants: &[Grant],
    own_subject: Option<&str>,
    permission: Permission,
    scope: Scope<'_>,
) -> Decision {
    if !holds(grants, permission) {
        return Decision::Deny;
    }
    let allows = |grant: &Grant| match may(grant.role, permission) {
        Reach::None => false,
        Reach::Own => covers_study(grant, scope) && is_own(own_subject, scope),
        Reach::Granted if scope.study.is_none() && permission.reads_library() => true,
        Reach::Granted => {
            covers_study(grant, scope) && (permission.reaches_up() || covers_site(grant, scope))
        }
    };
    if grants.iter().any(allows) {
        return Decision::Allow;
    }
    let sees = |grant: &Grant| {
        let own = grant.role != Role::Patient || is_own(own_subject, scope);
        // Who works at a site knows that its study exists.
        own && covers_study(grant, scope) && (scope.site.is_none() || covers_site(grant, scope))
    };
    // What belongs to no study is not a secret; anything else shows only inside a grant.
    if scope.study.is_none() || grants.iter().any(sees) {
        Decision::Deny
    } else {
        Decision::Hidden
    }
}

/// Which objects of a kind an account may list: the filter that a query must apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing<'g> {
    /// All.
    Everything,
    /// Only these.
    Parts {
        /// Those of these studies, and only of the site where one is given.
        places: Vec<(&'g str, Option<&'g str>)>,
        /// Those of the account's own subject.
        own: Vec<Own<'g>>,
    },
}

/// The own subject of an account, as far as one of its grants reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'g> {
    /// The subject.
    pub subject: &'g str,
    /// Only what this study has of it; whatever its study where none is given.
    pub study: Option<&'g str>,
}

impl Listing<'_> {
    /// Whether nothing can be listed.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Parts { places, own } if places.is_empty() && own.is_empty())
    }

    /// Whether an object is in the list.
    pub fn contains(&self, scope: Scope<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::Parts { places, own } => {
                let in_place = |(study, site): &(&str, Option<&str>)| {
                    scope.study == Some(study) && (site.is_none() || *site == scope.site)
                };
                let is_own = |own: &Own<'_>| {
                    scope.subject == Some(own.subject)
                        && (own.study.is_none() || own.study == scope.study)
                };
                places.iter().any(in_place) || own.iter().any(is_own)
            }
        }
    }
}

/// What an account may list with a permission. For objects of a study it agrees with [`decide`]; the library of
/// questionnaires, which belongs to no study, is open to every holder of `questionnaire.read` and needs no filter.
pub fn listing<'g>(
    grants: &'g [Grant],
    own_subject: Option<&'g str>,
    permission: Permission,
) -> Listing<'g> {
    let mut places = Vec::new();
    let mut own = Vec::new();
    for grant in grants {
        match (
            may(grant.role, permission),
            grant.study.as_deref(),
            grant.site.as_deref(),
        ) {
            (Reach::None, ..) | (_, None, Some(_)) => {}
            (Reach::Own, study, _) => own.extend(own_subject.map(|subject| Own { subject, study })),
            (Reach::Granted, None, None) => return Listing::Everything,
            (Reach::Granted, Some(study), site) => {
                places.push((study, site.filter(|_| !permission.reaches_up())));
            }
        }
    }
    Listing::Parts { places, own }
}

/// A grant for a site without its study is not sound and covers nothing.
fn covers_study(grant: &Grant, scope: Scope<'_>) -> bool {
    match &grant.study {
        None => grant.site.is_none(),
        Some(study) => scope.study == Some(study),
    }
}

fn covers_site(grant: &Grant, scope: Scope<'_>) -> bool {
    grant.site.is_none() || grant.site.as_deref() == scope.site
}

fn is_own(own_subject: Option<&str>, scope: Scope<'_>) -> bool {
    own_subject.is_some() && own_subject == scope.subject
}
