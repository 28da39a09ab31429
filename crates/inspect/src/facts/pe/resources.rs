//! Resources: the tree, and what the version resource and the manifests say.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// The resource directory, its tree flattened.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The .rsrc Section"))]
pub struct Resources {
    /// Every resource, in file order.
    pub leaves: Vec<Resource>,
    /// The version resource that Windows looks for, number 1 (`VS_VERSION_INFO`); else the first that is there.
    pub version: Option<VersionInfo>,
    /// The manifests, in file order.
    pub manifests: Vec<Manifest>,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Resource {
    /// The names of the directories above it: by convention type, name and language.
    pub path: Vec<ResourceName>,
    /// Address relative to the image base.
    pub address: u32,
    /// Size in bytes.
    pub size: u32,
}

/// What a resource directory's entry is called.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceName {
    /// A number; of the first level 3 icon, 16 version, 24 manifest …
    Number(u32),
    /// A text.
    Text(Arc<str>),
}

impl fmt::Display for ResourceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceName::Number(number) => write!(out, "{number}"),
            ResourceName::Text(text) => out.write_str(text),
        }
    }
}

/// `VS_VERSIONINFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Windows API, VS_VERSIONINFO"))]
pub struct VersionInfo {
    /// Its second name; Windows looks for number 1 alone. Missing where it stands right below its type.
    pub name: Option<ResourceName>,
    /// `dwFileVersion`, most significant part first.
    pub file_version: [u16; 4],
    /// `dwProductVersion`, most significant part first.
    pub product_version: [u16; 4],
    /// `dwFileFlags` under its mask: 1 debug, 2 prerelease, 4 patched, 8 private.
    pub flags: u32,
    /// `dwFileType`: 1 program, 2 library, 3 driver.
    pub file_type: u32,
    /// `StringFileInfo`, in file order.
    pub strings: Vec<VersionString>,
}

/// One line of `StringFileInfo`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct VersionString {
    /// The table's key: language and code page in hexadecimal.
    pub language: String,
    /// `CompanyName`, `FileDescription`, `ProductVersion` …
    pub key: String,
    /// What it says.
    pub value: String,
}

/// One `RT_MANIFEST` resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Windows API, Application Manifests"))]
pub struct Manifest {
    /// Its second name: Windows reads number 1 of a program, 2 and 3 of a library. Missing where it stands right
    /// below its type.
    pub name: Option<ResourceName>,
    /// The XML as written.
    pub text: String,
    /// What Windows reads out of it, in file order.
    pub settings: Vec<ManifestSetting>,
}

/// One setting: `requestedExecutionLevel`, `uiAccess`, `longPathAware`, `dpiAwareness`, `supportedOS`, `dependency` …
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ManifestSetting {
    /// The element's or attribute's name.
    pub name: String,
    /// Its value, without the spaces around it.
    pub value: String,
    /// Whether Windows reads it there: of what stands in other elements or another namespace it is as if it were not there.
    pub is_read: bool,
}
