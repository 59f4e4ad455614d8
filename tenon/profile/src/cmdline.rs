//! The command line, for `/debug/pprof/cmdline`: what follows a word like `password` or `token` is
//! left out, because profiles go where secrets may not.

/// What names of secret arguments hold.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "key"];
const HIDDEN: &str = "***";

/// The arguments of this process, joined with zero bytes as Go does.
pub(crate) fn text() -> String {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    redact(arguments).join("\0")
}

fn redact(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut hide_next = false;
    arguments
        .map(|argument| {
            let is_flag = argument.starts_with('-');
            if std::mem::take(&mut hide_next) && !is_flag {
                return HIDDEN.to_owned();
            }
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument.as_str(), None),
            };
            let lower = name.to_lowercase();
            let is_secret = SECRET_WORDS.iter().any(|word| lower.contains(word));
            if is_secret && value.is_some() {
                return format!("{name}={HIDDEN}");
            }
            hide_next = is_secret && is_flag;
            without_password(&argument)
        })
        .collect()
}

/// Hides what stands before the host of a URL.
fn without_password(argument: &str) -> String {
    let Some((scheme, rest)) = argument.split_once("://") else {
        return argument.to_owned();
    };
    match rest.split_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}"),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_name_of_a_secret_is_hidden() {
        let given = "cohort serve --token abc --db-password=x SECRET=y --config etc/a.yaml \
                     redis://u:p@host:1 --token --verbose keyring";
        let shown = redact(given.split_whitespace().map(str::to_owned)).join(" ");
        assert_eq!(
            shown,
            "cohort serve --token *** --db-password=*** SECRET=*** --config etc/a.yaml \
             redis://***@host:1 --token --verbose keyring"
        );
    }
}
