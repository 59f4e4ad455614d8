//! From addresses to functions, files and lines: each address once, object by object, from the
//! DWARF and the symbol table of its file. Slow (0.2 s for a large program), so never on a worker.
//!
//! The outermost function of an address takes its name from the symbol table, which has whole
//! names even where DWARF has short ones; inlined ones have theirs from DWARF. A symbol counts
//! within its size only: the nearest one before an address is often a lie.

use std::{collections::HashMap, fs::File, path::Path, sync::Arc};

use addr2line::Loader;
use memmap2::Mmap;
use object::{Object, ObjectSymbol, SymbolKind};

use crate::image::Image;

/// One function at an address: the code's own, or one that was inlined there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    /// As people read it.
    pub(crate) name: String,
    /// As the linker has it.
    pub(crate) system_name: String,
    /// Empty if it is not known.
    pub(crate) file: String,
}

/// The functions at an address, the innermost first, each with its line; 0 for an unknown one.
pub(crate) type Place = Vec<(Function, u32)>;

/// What is known of the addresses of a profile.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The places of the addresses whose functions are known.
    pub(crate) places: HashMap<u64, Place>,
    /// What each image could tell, in the order of the images.
    pub(crate) known: Vec<Knowledge>,
}

/// What an image's file tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Knowledge {
    /// There is a symbol table or DWARF.
    pub(crate) functions: bool,
    /// There is DWARF: files, lines, inlined functions.
    pub(crate) lines: bool,
}

/// The image that holds an address; the latest that was loaded there.
pub(crate) fn image_of(images: &[Arc<Image>], address: u64) -> Option<usize> {
    images
        .iter()
        .rposition(|image| image.code.contains(&address))
}

/// Whether the running program has names at all. Reads the headers of its file only.
pub(crate) fn program_has_names() -> bool {
    let bytes = map(Path::new("/proc/self/exe"));
    let file = bytes
        .as_deref()
        .and_then(|bytes| object::File::parse(bytes).ok());
    // Without a file there is nothing to advise.
    file.is_none_or(|file| file.symbols().next().is_some())
}

/// Looks up addresses, which are sorted and each there once.
pub(crate) fn look_up(images: &[Arc<Image>], addresses: &[u64]) -> Names {
    let mut names = Names {
        known: vec![Knowledge::default(); images.len()],
        ..Names::default()
    };
    let mut by_image: HashMap<usize, Vec<u64>> = HashMap::new();
    for &address in addresses {
        if let Some(image) = image_of(images, address) {
            by_image.entry(image).or_default().push(address);
        }
    }
    for (index, addresses) in by_image {
        let Some(image) = images.get(index) else {
            continue;
        };
        let Some(path) = &image.file else {
            continue;
        };
        let knowledge = look_up_in(path, image.bias, &addresses, &mut names.places);
        if let (Some(knowledge), Some(known)) = (knowledge, names.known.get_mut(index)) {
            *known = knowledge;
        }
    }
    names
}

fn look_up_in(
    path: &Path,
    bias: u64,
    addresses: &[u64],
    places: &mut HashMap<u64, Place>,
) -> Option<Knowledge> {
    let bytes = map(path)?;
    let file = object::File::parse(&*bytes).ok()?;
    let table = SymbolTable::of(&file);
    let dwarf = file.section_by_name(".debug_info").is_some();
    let loader = dwarf.then(|| Loader::new(path).ok()).flatten();
    for &address in addresses {
        let in_file = address.wrapping_sub(bias);
        let symbol = table.find(in_file);
        let place = loader
            .as_ref()
            .and_then(|loader| frames(loader, in_file, symbol));
        let place = place.or_else(|| Some(vec![(function(symbol?, String::new()), 0)]));
        if let Some(place) = place {
            places.insert(address, place);
        }
    }
    Some(Knowledge {
        functions: dwarf || !table.symbols.is_empty(),
        lines: loader.is_some(),
    })
}

/// The functions at an address by DWARF; the outermost is called as the symbol says.
fn frames(loader: &Loader, address: u64, symbol: Option<&str>) -> Option<Place> {
    let mut place = Vec::new();
    let mut frames = loader.find_frames(address).ok()?;
    while let Ok(Some(frame)) = frames.next() {
        let name = frame
            .function
            .as_ref()
            .and_then(|function| function.raw_name().ok().map(|name| name.into_owned()));
        let location = frame.location;
        let line = location
            .as_ref()
            .and_then(|location| location.line)
            .unwrap_or(0);
        let file = location
            .and_then(|location| location.file)
            .unwrap_or("")
            .to_owned();
        place.push((name, file, line));
    }
    if let (Some((name, _, _)), Some(symbol)) = (place.last_mut(), symbol) {
        *name = Some(symbol.to_owned());
    }
    let place: Place = place
        .into_iter()
        .filter_map(|(name, file, line)| Some((function(&name?, file), line)))
        .collect();
    (!place.is_empty()).then_some(place)
}

fn function(system_name: &str, file: String) -> Function {
    // Alternate form: without the hash at the end.
    let name = match rustc_demangle::try_demangle(system_name) {
        Ok(name) => format!("{name:#}"),
        Err(_) => system_name.to_owned(),
    };
    Function {
        name,
        system_name: system_name.to_owned(),
        file,
    }
}

/// The functions of an object by address.
struct SymbolTable<'a> {
    /// Start, end and name, by start.
    symbols: Vec<(u64, u64, &'a str)>,
}

impl<'a> SymbolTable<'a> {
    fn of(file: &object::File<'a>) -> Self {
        let functions = |symbol: object::Symbol<'a, '_>| {
            let is_function = symbol.kind() == SymbolKind::Text && symbol.size() > 0;
            let name = symbol
                .name()
                .ok()
                .filter(|name| is_function && !name.is_empty())?;
            Some((symbol.address(), symbol.address() + symbol.size(), name))
        };
        let mut symbols: Vec<_> = file.symbols().filter_map(functions).collect();
        if symbols.is_empty() {
            // What a library exports is left of a stripped one.
            symbols = file.dynamic_symbols().filter_map(functions).collect();
        }
        symbols.sort_unstable();
        Self { symbols }
    }

    fn find(&self, address: u64) -> Option<&'a str> {
        let after = self
            .symbols
            .partition_point(|&(start, _, _)| start <= address);
        let &(_, end, name) = self.symbols.get(after.checked_sub(1)?)?;
        (address < end).then_some(name)
    }
}

fn map(path: &Path) -> Option<Mmap> {
    let file = File::open(path).ok()?;
    // SAFETY: the file is a program or library that runs at this moment. The kernel refuses to
    // write one in place, and one that was replaced stays as long as it is open.
    unsafe { Mmap::map(&file) }.ok()
}
