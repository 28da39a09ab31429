//! The resources of the Windows program, made without any tool: the texts of its events, its version and its manifest.
//! `build.rs` includes this.
//!
//! Formats: Microsoft, "PE Format" (the `.rsrc` section; COFF objects), "MESSAGE_RESOURCE_DATA", "VS_VERSIONINFO" and
//! "Application manifests".

mod directory;
mod message_table;
mod object;
mod version;

pub(crate) use directory::{Resource, section};
pub(crate) use message_table::message_table;
pub(crate) use object::{Machine, object};
pub(crate) use version::version;

/// RT_MESSAGETABLE, RT_VERSION, RT_MANIFEST (winuser.h).
pub(crate) const MESSAGE_TABLE: u32 = 11;
pub(crate) const VERSION: u32 = 16;
pub(crate) const MANIFEST: u32 = 24;

/// Nothing is asked of the system but what it gives everyone: no elevation, paths longer than 260 characters, and that
/// it does not pretend to be an older one (the GUID is Windows 10's and 11's).
pub(crate) const MANIFEST_TEXT: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <trustInfo xmlns="urn:schemas-microsoft-com:asm.v3">
    <security>
      <requestedPrivileges>
        <requestedExecutionLevel level="asInvoker" uiAccess="false"/>
      </requestedPrivileges>
    </security>
  </trustInfo>
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1">
    <application>
      <supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
    </application>
  </compatibility>
  <application xmlns="urn:schemas-microsoft-com:asm.v3">
    <windowsSettings>
      <longPathAware xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">true</longPathAware>
    </windowsSettings>
  </application>
</assembly>
"#;
