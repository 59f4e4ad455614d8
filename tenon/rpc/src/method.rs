//! The name of a method on the wire.

/// A method, `/patient.PatientService/getPatientsByTrial`. Generated code keeps one `static`
/// for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    path: &'static str,
    split: usize,
}

impl Method {
    /// A method by its path on the wire.
    ///
    /// # Panics
    /// The path is not `/package.Service/method`; in a `static` that is a compile error.
    pub const fn new(path: &'static str) -> Self {
        let bytes = path.as_bytes();
        assert!(
            !bytes.is_empty() && bytes[0] == b'/',
            "a method path starts with a slash"
        );
        let mut split = 0;
        let mut at = 1;
        while at < bytes.len() {
            let printable = bytes[at] > b' ' && bytes[at] < 0x7f && bytes[at] != b'?';
            assert!(printable, "a method path is plain ASCII");
            if bytes[at] == b'/' {
                assert!(split == 0, "a method path has two parts");
                split = at;
            }
            at += 1;
        }
        assert!(
            split > 1 && split + 1 < bytes.len(),
            "a method path is /package.Service/method"
        );
        Self { path, split }
    }

    /// The path on the wire, `/patient.PatientService/getPatientsByTrial`.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The full name of the service, `patient.PatientService`.
    pub fn service(&self) -> &'static str {
        &self.path[1..self.split]
    }

    /// The name of the method, `getPatientsByTrial`.
    pub fn name(&self) -> &'static str {
        &self.path[self.split + 1..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart() {
        static METHOD: Method = Method::new("/patient.PatientService/getPatientsByTrial");
        assert_eq!(METHOD.service(), "patient.PatientService");
        assert_eq!(METHOD.name(), "getPatientsByTrial");
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "/", "/a", "/a/", "//b", "a/b", "/a/b/c", "/a b/c"] {
            assert!(
                std::panic::catch_unwind(|| Method::new(bad)).is_err(),
                "{bad}"
            );
        }
    }
}
