//! Resources of Windows files made by hand: trees, manifests and versions that lie, and what Windows reads of a manifest.

mod made;

use inspect::Facts;
use inspect::facts::{ManifestSetting, ResourceName};
use made::{ADDRESS, assert_says, file, inspect, pe};

/// A resource directory with these `(name, offset)` entries, numbered ones only.
fn resource_directory(entries: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; 14];
    bytes.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    for (name, offset) in entries {
        bytes.extend_from_slice(&name.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
    }
    bytes
}

const BELOW: u32 = 1 << 31;

#[test]
fn a_resource_tree_that_meets_itself_ends() {
    let circle = resource_directory(&[(1, BELOW), (2, BELOW)]);
    assert_says(&inspect(&file(&circle, &[(2, 0, 64)])), "reached twice");

    // Six levels of a thousand entries each, which all name the next level: 10^18 leaves, read one by one.
    let level = 16 + 8 * 1000_u32;
    let mut content = Vec::new();
    for index in 0..6 {
        let next = BELOW | (level * (index + 1));
        content.extend(resource_directory(&(0..1000).map(|name| (name, next)).collect::<Vec<_>>()));
    }
    let facts = inspect(&file(&content, &[(2, 0, content.len() as u32)]));
    assert_says(&facts, "reached twice");
}

#[test]
fn a_hundred_thousand_resources_hit_the_cap() {
    let mut content = Vec::new();
    let level = 16 + 8 * 50_000;
    let branches: Vec<_> = (0..2).map(|index| (index, BELOW | (32 + level * index))).collect();
    content.extend(resource_directory(&branches));
    for _ in 0..2 {
        content.extend(resource_directory(&(0..50_000).map(|name| (name, 0)).collect::<Vec<_>>()));
    }
    let facts = inspect(&file(&content, &[(2, 0, content.len() as u32)]));
    assert_says(&facts, "not read further");
    assert!(pe(&facts).resources.as_ref().unwrap().leaves.len() <= 1 << 16);
}

#[test]
fn one_long_name_shared_by_all_is_kept_within_the_budget() {
    let entries: Vec<_> = (0..60_000).map(|_| (BELOW | 0x10_0000, 0)).collect();
    let mut content = resource_directory(&entries);
    content.resize(0x10_0000, 0);
    content.extend_from_slice(&u16::MAX.to_le_bytes());
    content.resize(content.len() + 2 * usize::from(u16::MAX), b'a');
    let facts = inspect(&file(&content, &[(2, 0, 64)]));
    assert_says(&facts, "paths of more than");
    let leaves = &pe(&facts).resources.as_ref().unwrap().leaves;
    let text: usize = leaves.iter().flat_map(|leaf| &leaf.path).map(size_of_name).sum();
    assert!(text <= 2 << 20, "{text}");
}

fn size_of_name(name: &ResourceName) -> usize {
    match name {
        ResourceName::Text(text) => text.len(),
        ResourceName::Number(_) => 0,
    }
}

/// A resource of that type and number, with the directories above it.
fn resource(kind: u32, number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut content = resource_directory(&[(kind, BELOW | 24)]);
    content.extend(resource_directory(&[(number, BELOW | 48)]));
    content.extend(resource_directory(&[(1033, 72)]));
    content.extend_from_slice(&(ADDRESS + 88).to_le_bytes());
    content.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    content.extend_from_slice(&[0; 8]);
    content.extend_from_slice(bytes);
    content
}

fn with_resource(kind: u32, bytes: &[u8]) -> Facts {
    let content = resource(kind, 1, bytes);
    inspect(&file(&content, &[(2, 0, content.len() as u32)]))
}

#[test]
fn manifests_that_are_deep_wide_or_no_xml_end() {
    let facts = with_resource(24, b"<assembly><application><windowsSettings><longPathAware> true </longPathAware></windowsSettings></application></assembly>\0\0");
    let settings = &pe(&facts).resources.as_ref().unwrap().manifests[0].settings;
    let ManifestSetting { name, value, is_read } = &settings[0];
    assert_eq!(
        (name.as_str(), value.as_str(), *is_read),
        ("longPathAware", "true", false),
        "of no namespace"
    );
    let told = inspect::dump(&facts);
    assert!(told.starts_with("PE32+ DLL (") && told.contains("\nManifest 1: "), "{told}");
    let unread = "\n  longPathAware true (Windows does not read it there)\n";
    assert!(told.contains("\nResources: 1\n") && told.contains(unread), "{told}");

    let many = with_resource(24, format!("<a>{}</a>", "<supportedOS/>".repeat(300)).as_bytes());
    assert_eq!(pe(&many).resources.as_ref().unwrap().manifests[0].settings.len(), 200);
    assert_says(&with_resource(24, "<a>".repeat(80_000).as_bytes()), "not XML");
    assert_says(&with_resource(24, format!("<a>{}</a>", "<b/>".repeat(50_000)).as_bytes()), "not XML");
    assert_says(&with_resource(24, &[b' '; 300 << 10]), "not read");
    let entities = b"<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><a>&c;&c;&c;</a>";
    assert_says(&with_resource(24, entities), "not XML");
    assert_says(&with_resource(24, b"<a></b>"), "not XML");
}

#[test]
fn each_manifest_keeps_its_name_and_too_many_are_told() {
    let numbered = |count: u32| {
        let below = 16 + 8 * count;
        let mut content = resource_directory(&[(24, BELOW | 24)]);
        let entries: Vec<_> = (0..count).map(|index| (index + 5, 24 + below)).collect();
        content.extend(resource_directory(&entries));
        content.extend_from_slice(&(ADDRESS + 24 + below + 8).to_le_bytes());
        content.extend_from_slice(&4_u32.to_le_bytes());
        content.extend_from_slice(b"<a/>");
        inspect(&file(&content, &[(2, 0, content.len() as u32)]))
    };
    let few = numbered(16);
    assert_eq!(few.anomalies, []);
    let names: Vec<_> =
        pe(&few).resources.iter().flat_map(|it| &it.manifests).map(|it| it.name.clone()).collect();
    assert_eq!(names, (5..21).map(|number| Some(ResourceName::Number(number))).collect::<Vec<_>>());
    assert_says(&numbered(17), "more than 16 manifests: not read further");

    // Right below its type it has no name.
    let mut content = resource_directory(&[(24, 24)]);
    content.extend_from_slice(&(ADDRESS + 32).to_le_bytes());
    content.extend_from_slice(&4_u32.to_le_bytes());
    content.extend_from_slice(b"<a/>");
    let facts = inspect(&file(&content, &[(2, 0, content.len() as u32)]));
    assert_eq!(pe(&facts).resources.as_ref().unwrap().manifests[0].name, None);
}

#[test]
fn the_version_is_the_resource_of_number_1_before_any_other() {
    let mut version = [92_u16.to_le_bytes(), 52_u16.to_le_bytes(), [0, 0]].concat();
    version.extend("VS_VERSION_INFO".encode_utf16().chain([0, 0]).flat_map(u16::to_le_bytes));
    // The signature, the structure's version, then what is told: of the flags those in the mask.
    let fixed =
        [0xfeef_04bd, 0x1_0000, 0x1_0002, 0x3_0004, 0x5_0006, 0x7_0008, 0b011, 0b110, 0x4_0004, 2, 0, 0, 0];
    version.extend(fixed.map(u32::to_le_bytes).as_flattened());
    let numbered = |number| {
        let content = resource(16, number, &version);
        let facts = inspect(&file(&content, &[(2, 0, content.len() as u32)]));
        assert_eq!(facts.anomalies, []);
        pe(&facts).resources.as_ref().unwrap().version.as_ref().unwrap().name.clone()
    };
    assert_eq!(numbered(1), Some(ResourceName::Number(1)));
    assert_eq!(numbered(7), Some(ResourceName::Number(7)), "where there is no other");

    let mut content = resource_directory(&[(16, BELOW | 24)]);
    content.extend(resource_directory(&[(0, 56), (1, 56)]));
    content.extend_from_slice(&(ADDRESS + 64).to_le_bytes());
    content.extend_from_slice(&(version.len() as u32).to_le_bytes());
    content.extend_from_slice(&version);
    let facts = inspect(&file(&content, &[(2, 0, content.len() as u32)]));
    let version = pe(&facts).resources.as_ref().unwrap().version.as_ref().unwrap();
    assert_eq!(version.name, Some(ResourceName::Number(1)), "where another stands before it");
    assert_eq!((version.file_version, version.product_version), ([1, 2, 3, 4], [5, 6, 7, 8]));
    assert_eq!((version.flags, version.file_type), (0b010, 2));
}

/// Which settings Windows reads of a manifest whose root has `content`.
fn read_settings(content: &str) -> Vec<String> {
    let manifest = format!("<assembly xmlns='urn:schemas-microsoft-com:asm.v1'>{content}</assembly>");
    let facts = with_resource(24, manifest.as_bytes());
    assert_eq!(facts.anomalies, []);
    let settings = &pe(&facts).resources.as_ref().unwrap().manifests[0].settings;
    settings.iter().filter(|setting| setting.is_read).map(|setting| setting.name.clone()).collect()
}

#[test]
fn settings_are_read_in_their_elements_and_namespaces() {
    let of_windows = |name: &str, year: &str| {
        let namespace = format!("http://schemas.microsoft.com/SMI/{year}/WindowsSettings");
        let settings =
            format!("<windowsSettings><{name} xmlns='{namespace}'>true</{name}></windowsSettings>");
        read_settings(&format!(
            "<application xmlns='urn:schemas-microsoft-com:asm.v3'>{settings}</application>"
        ))
    };
    assert_eq!(of_windows("longPathAware", "2016"), ["longPathAware"]);
    assert!(of_windows("longPathAware", "2005").is_empty(), "where it came in 2016");
    assert_eq!(of_windows("dpiAware", "2005"), ["dpiAware"]);
    assert_eq!(of_windows("later", "2031"), ["later"], "not known here");
    let bare =
        "<longPathAware xmlns='http://schemas.microsoft.com/SMI/2016/WindowsSettings'>true</longPathAware>";
    let settings = format!("<windowsSettings>{bare}</windowsSettings>");
    assert!(read_settings(&settings).is_empty(), "outside of `application`");
    assert!(
        read_settings(&format!("<trustInfo><application>{settings}</application></trustInfo>")).is_empty()
    );

    let identity = "<assemblyIdentity name='ship' version='1.2.3.4'/>";
    let dependency = format!("<dependency><dependentAssembly>{identity}</dependentAssembly></dependency>");
    assert_eq!(read_settings(&format!("{identity}{dependency}")), ["name", "version", "dependency"]);

    let level = "<requestedExecutionLevel level='asInvoker'/>";
    let privileges = format!("<security><requestedPrivileges>{level}</requestedPrivileges></security>");
    let both = ["requestedExecutionLevel", "uiAccess"];
    for version in ["v1", "v2", "v3"] {
        let namespace = format!("urn:schemas-microsoft-com:asm.{version}");
        let trust = format!("<trustInfo xmlns='{namespace}'>{privileges}</trustInfo>");
        assert_eq!(read_settings(&trust), both, "{version}");
    }
    assert!(read_settings(&format!("<trustInfo xmlns='urn:other'>{privileges}</trustInfo>")).is_empty());
    assert!(read_settings(&format!("<trustInfo>{level}</trustInfo>")).is_empty(), "not where it belongs");

    let system = "<application><supportedOS Id='{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}'/></application>";
    let compatibility = "compatibility xmlns='urn:schemas-microsoft-com:compatibility.v1'";
    assert_eq!(read_settings(&format!("<{compatibility}>{system}</compatibility>")), ["supportedOS"]);
    assert!(read_settings(&format!("<compatibility>{system}</compatibility>")).is_empty());
    assert!(read_settings(system).is_empty());
}

#[test]
fn version_resources_whose_lengths_lie_end() {
    let node = |length: u16, value: u16, key: &str, rest: &[u8]| {
        let mut bytes = [length.to_le_bytes(), value.to_le_bytes(), [1, 0]].concat();
        bytes.extend(key.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(rest);
        bytes
    };
    assert_says(&with_resource(16, &node(6, 0, "", &[])), "not a VS_VERSION_INFO");
    assert_says(&with_resource(16, &node(0xffff, 0, "VS_VERSION_INFO", &[])), "not a VS_VERSION_INFO");
    let inner = node(0xff, 0xffff, "StringFileInfo", &[]);
    let length = node(0, 0, "VS_VERSION_INFO", &inner).len() as u16;
    assert_says(&with_resource(16, &node(length, 0, "VS_VERSION_INFO", &inner)), "end outside of it");
}
