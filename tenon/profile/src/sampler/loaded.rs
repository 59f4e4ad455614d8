//! The program and libraries that are loaded: where they lie, how to unwind them, what they are
//! called and which build they are. Taken from memory, so that a file that was replaced or deleted
//! costs names and nothing else.

use std::{
    ffi::{CStr, c_int, c_void},
    ops::{Deref, Range},
    path::PathBuf,
    slice,
    sync::Arc,
};

use framehop::{ExplicitModuleSectionInfo, Module};

use crate::image::Image;

/// Objects looked at; a process with more has its last ones without names.
const IMAGES_MAX: usize = 4096;
/// Unwind tables copied of one library; those of the largest are some megabytes.
const TABLE_BYTES_MAX: usize = 64 << 20;
/// The note that holds a build id, by the ELF specification of GNU.
const NT_GNU_BUILD_ID: u32 = 3;

/// Bytes of an unwind table.
#[derive(Debug, Clone)]
pub(super) enum Section {
    /// Of the program itself, which stays where it is as long as the process lives.
    Mapped(&'static [u8]),
    /// Of a library, which may be unloaded while a handler reads.
    Copied(Arc<[u8]>),
}

impl Default for Section {
    fn default() -> Self {
        Self::Mapped(&[])
    }
}

impl Deref for Section {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

/// What is loaded at one moment.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) images: Vec<Arc<Image>>,
    pub(super) modules: Vec<Module<Section>>,
    /// Changes whenever something is loaded or unloaded.
    pub(super) generation: (u64, u64),
}

/// How often something was loaded and unloaded, to be compared with [`Loaded::generation`].
pub(super) fn generation() -> (u64, u64) {
    extern "C" fn first(info: *mut libc::dl_phdr_info, _: usize, into: *mut c_void) -> c_int {
        // SAFETY: the loader hands out a valid record, and `into` is the pair below.
        unsafe { *into.cast::<(u64, u64)>() = ((*info).dlpi_adds, (*info).dlpi_subs) };
        1
    }
    let mut counts = (0, 0);
    // SAFETY: the callback keeps to its types, and does not outlive the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut counts).cast()) };
    counts
}

/// Looks at all that is loaded.
pub(super) fn loaded() -> Loaded {
    extern "C" fn next(info: *mut libc::dl_phdr_info, _: usize, into: *mut c_void) -> c_int {
        // SAFETY: the loader hands out a valid record, and `into` is the list below. The loader
        // holds its lock meanwhile, so that nothing is unloaded while it is read.
        let (info, into) = unsafe { (&*info, &mut *into.cast::<Loaded>()) };
        into.generation = (info.dlpi_adds, info.dlpi_subs);
        if into.images.len() >= IMAGES_MAX {
            return 1;
        }
        // SAFETY: as above.
        let object = unsafe { Object::of(info, into.images.is_empty()) };
        if let Some((image, module)) = object.and_then(|object| object.read()) {
            into.images.push(Arc::new(image));
            into.modules.extend(module);
        }
        0
    }
    let mut found = Loaded::default();
    // SAFETY: the callback keeps to its types, and does not outlive the call.
    unsafe { libc::dl_iterate_phdr(Some(next), (&raw mut found).cast()) };
    found
}

/// One object during the walk over all of them.
struct Object<'a> {
    is_program: bool,
    path: String,
    bias: u64,
    headers: &'a [libc::Elf64_Phdr],
}

impl<'a> Object<'a> {
    /// # Safety
    /// Within the callback of `dl_iterate_phdr`, with the record that it was given.
    unsafe fn of(info: &'a libc::dl_phdr_info, is_program: bool) -> Option<Self> {
        if info.dlpi_phdr.is_null() {
            return None;
        }
        // SAFETY: the loader's table has as many entries as it says.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let path = if info.dlpi_name.is_null() {
            String::new()
        } else {
            // SAFETY: a name of the loader ends with a zero.
            unsafe { CStr::from_ptr(info.dlpi_name) }
                .to_string_lossy()
                .into_owned()
        };
        Some(Self {
            is_program,
            path,
            bias: info.dlpi_addr,
            headers,
        })
    }

    fn read(&self) -> Option<(Image, Option<Module<Section>>)> {
        let code = self
            .headers
            .iter()
            .find(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)?;
        let (file, name) = self.names();
        let image = Image {
            file,
            name,
            bias: self.bias,
            code: self.range(code),
            code_offset: code.p_offset,
            build_id: self.build_id().unwrap_or_default(),
        };
        let module = self.module(&image);
        Some((image, module))
    }

    /// The program is opened through `/proc`, which finds it even when its file was replaced.
    fn names(&self) -> (Option<PathBuf>, String) {
        if self.is_program {
            let path = std::env::current_exe();
            let name =
                path.map_or_else(|_| "program".to_owned(), |path| path.display().to_string());
            return (Some("/proc/self/exe".into()), name);
        }
        if self.path.starts_with('/') {
            return (Some(self.path.clone().into()), self.path.clone());
        }
        (None, "[vdso]".to_owned())
    }

    /// Where a segment lies in memory.
    fn range(&self, header: &libc::Elf64_Phdr) -> Range<u64> {
        let start = self.bias.wrapping_add(header.p_vaddr);
        start..start.wrapping_add(header.p_memsz)
    }

    /// The loaded memory from an address of the file to the end of its segment.
    fn bytes_from(&self, address: u64) -> Option<(&'a [u8], Range<u64>)> {
        let header = self.headers.iter().find(|header| {
            header.p_type == libc::PT_LOAD
                && header.p_flags & libc::PF_R != 0
                && (header.p_vaddr..header.p_vaddr.wrapping_add(header.p_filesz)).contains(&address)
        })?;
        let end = header.p_vaddr.wrapping_add(header.p_filesz);
        let length = usize::try_from(end - address).ok()?;
        let start = usize::try_from(self.bias.wrapping_add(address)).ok()?;
        // SAFETY: the segment is mapped readable from its start to its end, and the loader's lock
        // keeps it so during the walk.
        let bytes =
            unsafe { slice::from_raw_parts(std::ptr::with_exposed_provenance(start), length) };
        Some((bytes, address..end))
    }

    fn build_id(&self) -> Option<String> {
        let notes = self
            .headers
            .iter()
            .filter(|header| header.p_type == libc::PT_NOTE);
        for header in notes {
            let Some((bytes, _)) = self.bytes_from(header.p_vaddr) else {
                continue;
            };
            let size = usize::try_from(header.p_memsz).ok()?.min(bytes.len());
            if let Some(id) = build_id(bytes.get(..size)?) {
                return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        None
    }

    /// How to unwind it. Without a table framehop follows frame pointers.
    fn module(&self, image: &Image) -> Option<Module<Section>> {
        let loads = self
            .headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD);
        let ranges: Vec<Range<u64>> = loads.map(|header| self.range(header)).collect();
        let start = ranges.iter().map(|range| range.start).min()?;
        let end = ranges.iter().map(|range| range.end).max()?;
        let mut sections = ExplicitModuleSectionInfo::default();
        if let Some((header, header_at, frames, frames_at)) = self.unwind_tables() {
            sections.eh_frame_hdr = Some(header);
            sections.eh_frame_hdr_svma = Some(header_at);
            sections.eh_frame = Some(frames);
            sections.eh_frame_svma = Some(frames_at);
        }
        Some(Module::new(
            image.name.clone(),
            start..end,
            self.bias,
            sections,
        ))
    }

    /// `.eh_frame_hdr` and `.eh_frame` with their addresses.
    fn unwind_tables(&self) -> Option<(Section, Range<u64>, Section, Range<u64>)> {
        let found = self
            .headers
            .iter()
            .find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?;
        let (header, at) = self.bytes_from(found.p_vaddr)?;
        let size = usize::try_from(found.p_memsz).ok()?.min(header.len());
        let header = header.get(..size)?;
        // Version 1, and the address of the frames relative to its own place, as every linker
        // writes it.
        let &[1, 0x1b, _, _, a, b, c, d, ..] = header else {
            return None;
        };
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        let frames = at.start.wrapping_add(4).wrapping_add_signed(distance);
        let (frames, frames_at) = self.bytes_from(frames)?;
        let header_at = at.start..at.start + size as u64;
        Some((
            self.section(header)?,
            header_at,
            self.section(frames)?,
            frames_at,
        ))
    }

    fn section(&self, bytes: &'a [u8]) -> Option<Section> {
        if self.is_program {
            // SAFETY: the segments of the program itself are mapped until the process ends.
            let bytes = unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) };
            return Some(Section::Mapped(bytes));
        }
        (bytes.len() <= TABLE_BYTES_MAX).then(|| Section::Copied(bytes.into()))
    }
}

/// Finds the build id among notes: name size, text size, type, name, text, each padded to four.
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    let word = |notes: &[u8], at: usize| {
        let bytes = notes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let padded = |size: u32| (size as usize).next_multiple_of(4);
    while notes.len() > 12 {
        let (name, text, kind) = (word(notes, 0)?, word(notes, 4)?, word(notes, 8)?);
        let start = 12 + padded(name);
        if kind == NT_GNU_BUILD_ID && notes.get(12..16) == Some(b"GNU\0") {
            return notes.get(start..start + text as usize);
        }
        notes = notes.get(start + padded(text)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_comes_first_and_holds_this_function() {
        let loaded = loaded();
        let here = the_program_comes_first_and_holds_this_function as fn() as usize as u64;
        assert!(loaded.images[0].code.contains(&here));
        assert!(!loaded.modules.is_empty());
        assert_eq!(loaded.generation, generation());
    }

    #[test]
    fn a_build_id_is_found_behind_other_notes_and_broken_notes_are_none() {
        let mut notes = Vec::new();
        for (kind, text) in [(1_u32, &b"abcde\0\0\0"[..]), (3, b"\x12\xef\0\x01")] {
            notes.extend(4_u32.to_ne_bytes());
            let size = if kind == 1 { 5_u32 } else { 4 };
            notes.extend(size.to_ne_bytes());
            notes.extend(kind.to_ne_bytes());
            notes.extend(b"GNU\0");
            notes.extend(text);
        }
        assert_eq!(build_id(&notes), Some(&b"\x12\xef\0\x01"[..]));
        for length in 0..notes.len() - 1 {
            assert_eq!(build_id(&notes[..length]), None);
        }
    }
}
