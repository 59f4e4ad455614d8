//! Whether a file that holds a secret is kept from everybody who has no business with it.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// Whether nobody beside this process may read the file, as the rights of the open file say.
///
/// Two ways of keeping a secret are good: the owner alone may read it (0600, 0400), or it belongs
/// to root, who may read everything anyway, and its group may read it while this process is not
/// root's (0440, 0640). The second is how orchestrators hand secrets over: Kubernetes with
/// `fsGroup`, and the credentials of systemd.
///
/// ```
/// use std::os::unix::fs::PermissionsExt;
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
/// let file = std::fs::File::create(&path)?;
/// file.set_permissions(PermissionsExt::from_mode(0o600))?;
/// assert!(tenon_core::secret_file::is_kept(&file.metadata()?));
/// file.set_permissions(PermissionsExt::from_mode(0o644))?;
/// assert!(!tenon_core::secret_file::is_kept(&file.metadata()?));
/// # std::fs::remove_file(path)
/// # }
/// ```
pub fn is_kept(file: &Metadata) -> bool {
    is_kept_from_others(file.mode(), file.uid(), own_user())
}

/// Group and others may do nothing; or the group of a file of root may read it.
fn is_kept_from_others(mode: u32, owner: u32, own_user: Option<u32>) -> bool {
    const ROOT: u32 = 0;
    let handed_over = owner == ROOT && own_user.is_some_and(|user| user != ROOT);
    mode & 0o077 == 0 || (handed_over && mode & 0o037 == 0)
}

/// The user of this process, where the system tells: its own folder in `/proc` belongs to it.
fn own_user() -> Option<u32> {
    let own = std::fs::metadata("/proc/self");
    own.ok().map(|folder| folder.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_alone_or_the_group_of_a_file_of_root() {
        let (root, user, other) = (0, 65532, 1000);
        for (mode, owner, own_user, is_kept) in [
            (0o600, user, Some(user), true),
            (0o400, user, Some(user), true),
            (0o440, user, Some(user), false),
            (0o440, root, Some(user), true),
            (0o640, root, Some(user), true),
            (0o640, root, Some(root), false),
            (0o640, root, None, false),
            (0o640, other, Some(user), false),
            (0o660, root, Some(user), false),
            (0o444, root, Some(user), false),
            (0o600, root, Some(root), true),
        ] {
            assert_eq!(
                is_kept_from_others(0o100_000 | mode, owner, own_user),
                is_kept,
                "{mode:o} of {owner} for {own_user:?}"
            );
        }
    }
}
