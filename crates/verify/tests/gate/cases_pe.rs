//! The cases about Windows programs that other checkers get wrong (`cases.rs` has the list), each with a
//! file that is made here by the tools people use.

use std::fs;

use artifact::{Outcome, Target};
use seaworthy_verify::{Policy, Requirement, SubsystemPolicy};
use tempfile::TempDir;
use xshell::{Shell, cmd};

use crate::support::*;

const CONSOLE: &str = "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n";
const WINDOW: &str = "#include <windows.h>\n\
    int WINAPI WinMain(HINSTANCE a, HINSTANCE b, LPSTR c, int d) { (void)a; (void)b; (void)c; return d < 0; }\n";
const BUFFER: &str = "#include <stdio.h>\n\
    int main(int count, char **words) { char text[64]; sprintf(text, \"%s\", words[0]); return puts(text) < count; }\n";

/// A folder with mingw in reach.
struct Workshop {
    shell: Shell,
    folder: TempDir,
}

impl Workshop {
    fn open() -> Workshop {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let shell = Shell::new().expect("the current folder exists");
        shell.change_dir(folder.path());
        Workshop { shell, folder }
    }

    /// What mingw makes of `source` with these options.
    fn link(&self, source: &str, options: &str) -> Vec<u8> {
        self.shell.write_file("program.c", source).expect("the source can be written");
        let options = options.split_whitespace();
        let made = cmd!(self.shell, "x86_64-w64-mingw32-gcc -O1 program.c {options...} -o program.exe")
            .env_remove("SOURCE_DATE_EPOCH")
            .quiet()
            .run();
        made.unwrap_or_else(|error| panic!("{error}; apt-get install gcc-mingw-w64-x86-64"));
        self.shell.read_binary_file("program.exe").expect("mingw made it")
    }

    /// A key and its self-signed certificate that may sign code.
    fn key(&self) {
        let made = cmd!(
            self.shell,
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -subj /CN=Home -days 3650
             -addext extendedKeyUsage=codeSigning"
        )
        .quiet()
        .ignore_stderr()
        .run();
        made.unwrap_or_else(|error| panic!("{error}; apt-get install openssl"));
    }

    /// The same at the end of a chain: `root` issued `between`, that issued `signer`; each has its extensions, a line each.
    fn chain(&self, [root, between, signer]: [&str; 3]) {
        for (name, issuer, extensions) in
            [("root", "root", root), ("between", "root", between), ("signer", "between", signer)]
        {
            self.shell.write_file(format!("{name}.ext"), extensions).expect("the extensions can be written");
            let by = match name == issuer {
                true => "-signkey root.key".to_owned(),
                false => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
            };
            let by = by.split(' ');
            let asked = cmd!(
                self.shell,
                "openssl req -new -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
            );
            let issued = cmd!(
                self.shell,
                "openssl x509 -req -in {name}.csr -days 9 -extfile {name}.ext -out {name}.pem {by...}"
            );
            for step in [asked, issued] {
                let made = step.quiet().ignore_stderr().run();
                made.unwrap_or_else(|error| panic!("{error}; apt-get install openssl"));
            }
        }
        let all = ["signer", "between", "root"]
            .map(|name| self.shell.read_file(format!("{name}.pem")).expect("openssl made it"));
        self.shell.write_file("certificate.pem", all.concat()).expect("the chain can be written");
        self.shell.copy_file("signer.key", "key.pem").expect("openssl made it");
    }

    /// Whether osslsigncode, which asks openssl, takes `signed.exe` for signed by a chain to `root`.
    fn osslsigncode_trusts_root(&self) -> bool {
        let told = cmd!(self.shell, "osslsigncode verify -CAfile root.pem -in signed.exe");
        let told = told.quiet().ignore_status().output().expect("it signed a moment ago");
        told.status.success()
    }

    fn sign(&self, program: &[u8]) -> Vec<u8> {
        self.sign_with("sha256", program)
    }

    fn sign_with(&self, digest: &str, program: &[u8]) -> Vec<u8> {
        let _ = fs::remove_file(self.folder.path().join("signed.exe"));
        self.shell.write_file("unsigned.exe", program).expect("the program can be written");
        let signed = cmd!(
            self.shell,
            "osslsigncode sign -certs certificate.pem -key key.pem -h {digest} -in unsigned.exe -out signed.exe"
        )
        .quiet()
        .ignore_stdout()
        .run();
        signed.unwrap_or_else(|error| panic!("{error}; apt-get install osslsigncode"));
        self.shell.read_binary_file("signed.exe").expect("osslsigncode made it")
    }

    fn fingerprint(&self) -> String {
        self.fingerprint_of("certificate.pem")
    }

    fn fingerprint_of(&self, certificate: &str) -> String {
        let told =
            cmd!(self.shell, "openssl x509 -in {certificate} -noout -fingerprint -sha256").quiet().read();
        let told = told.unwrap_or_else(|error| panic!("{error}; apt-get install openssl"));
        told.split_once('=').expect("openssl prints a name and a value").1.to_owned()
    }
}

fn policy() -> Policy {
    Policy::for_target(Target::X86_64Windows)
}

#[test]
fn case_20_stripped_or_empty_relocations_are_no_aslr() {
    let whole = Workshop::open().link(CONSOLE, "-s");
    assert_answer(&whole, &policy(), "SW-PE-RELOCATIONS", Outcome::Pass, "base relocations in");

    let mut stripped = whole.clone();
    let field = pe(&stripped, CHARACTERISTICS);
    change(&mut stripped, field, 2, |flags| flags | 1);
    assert_answer(&stripped, &policy(), "SW-PE-DYNAMIC-BASE", Outcome::Pass, "0x160");
    assert_answer(&stripped, &policy(), "SW-PE-RELOCATIONS", Outcome::Fail, "no ASLR");

    let mut empty = whole.clone();
    let field = pe(&empty, BASE_RELOCATION_DIRECTORY);
    put(&mut empty, field, 8, 0);
    assert_answer(&empty, &policy(), "SW-PE-RELOCATIONS", Outcome::Fail, "suspicious");
}

#[test]
fn case_23_present_digest_chain_and_timestamp_are_four_answers() {
    let workshop = Workshop::open();
    workshop.key();
    let plain = workshop.link(CONSOLE, "-s");
    let signed = workshop.sign(&plain);
    let mut policy = policy();
    policy.authenticode = Requirement::Required;
    assert_answer(&plain, &policy, "SW-PE-SIGNATURE-PRESENT", Outcome::Fail, "not signed");
    assert_answer(&plain, &policy, "SW-PE-SIGNATURE-DIGEST", Outcome::NotApplicable, "not signed");

    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-PRESENT", Outcome::Pass, "CN=Home");
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-DIGEST", Outcome::Pass, "sha256");
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-CHAIN", Outcome::NotApplicable, "self-signed");
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-TIMESTAMP", Outcome::NotApplicable, "no timestamp");
    assert_answer(&signed, &policy, "SW-TRAILING-BYTES", Outcome::Pass, "0 bytes");

    // One byte, wherever it is, and whatever the policy says of unsigned files.
    policy.authenticode = Requirement::Optional;
    for address in [0x1000, 0x2000] {
        let mut bent = signed.clone();
        let place = pe_offset(&bent, address);
        bent[place] ^= 1;
        assert_answer(&bent, &policy, "SW-PE-SIGNATURE-PRESENT", Outcome::Pass, "CN=Home");
        assert_answer(&bent, &policy, "SW-PE-SIGNATURE-DIGEST", Outcome::Fail, "was signed");
    }

    policy.authenticode_timestamp = true;
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-TIMESTAMP", Outcome::Fail, "no timestamp");
    policy.trusted_certificates = vec![FIXTURE_ROOT.to_owned()];
    assert_answer(
        &signed,
        &policy,
        "SW-PE-SIGNATURE-CHAIN",
        Outcome::Fail,
        "leads to no trusted certificate",
    );
    policy.trusted_certificates = vec![workshop.fingerprint()];
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-CHAIN", Outcome::Pass, "CN=Home");

    // The same four of a file with a chain and a timestamp.
    let stamped = Fixture::Signed.bytes();
    let policy = Fixture::Signed.policy();
    assert_answer(
        &stamped,
        &policy,
        "SW-PE-SIGNATURE-CHAIN",
        Outcome::Pass,
        "`CN=Fixture signer`, `CN=Fixture root`",
    );
    assert_answer(
        &stamped,
        &policy,
        "SW-PE-SIGNATURE-TIMESTAMP",
        Outcome::Pass,
        "CN=Fixture clock (RFC 3161)",
    );
}

#[test]
fn a_chain_is_judged_as_openssl_judges_it() {
    const ROOT: &str = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign";
    const SIGNER: &str = "extendedKeyUsage=codeSigning\nkeyUsage=critical,digitalSignature";
    const CASES: [([&str; 3], &str); 7] = [
        ([ROOT, ROOT, SIGNER], ""),
        ([ROOT, "basicConstraints=CA:true,pathlen:0", SIGNER], ""),
        (["basicConstraints=CA:true,pathlen:1", ROOT, SIGNER], ""),
        (
            ["basicConstraints=CA:true,pathlen:0", ROOT, SIGNER],
            "`CN=root` allows 0 authorities below it, not 1",
        ),
        ([ROOT, "basicConstraints=CA:false", SIGNER], "`CN=between` may not issue certificates;"),
        (
            [ROOT, "basicConstraints=CA:true\nkeyUsage=digitalSignature", SIGNER],
            "`CN=between` may not issue certificates;",
        ),
        (
            [ROOT, "basicConstraints=CA:true\n1.3.6.1.4.1.99999.1=critical,ASN1:NULL", SIGNER],
            "`CN=between` has the critical extension 1.3.6.1.4.1.99999.1",
        ),
    ];
    let workshop = Workshop::open();
    let plain = workshop.link(CONSOLE, "-s");
    let judged = |extensions, wrong: &str| {
        workshop.chain(extensions);
        let signed = workshop.sign(&plain);
        let mut policy = policy();
        policy.trusted_certificates = vec![workshop.fingerprint_of("root.pem")];
        let outcome = if wrong.is_empty() { Outcome::Pass } else { Outcome::Fail };
        assert_answer(&signed, &policy, "SW-PE-SIGNATURE-CHAIN", outcome, wrong);
    };
    for (extensions, wrong) in CASES {
        judged(extensions, wrong);
        assert_eq!(workshop.osslsigncode_trusts_root(), wrong.is_empty(), "{extensions:?}");
    }
    // Windows takes the uses that the whole chain has in common (CertGetEnhancedKeyUsage); openssl looks at the signer's.
    let other_use = "basicConstraints=CA:true\nextendedKeyUsage=serverAuth";
    judged([ROOT, other_use, SIGNER], "`CN=between` may not issue certificates for code");
    assert!(workshop.osslsigncode_trusts_root());
    // A key that may encipher keys alone (RFC 5280, 4.2.1.3); osslsigncode does not ask what it may do.
    let other_key = "extendedKeyUsage=codeSigning\nkeyUsage=keyEncipherment";
    judged([ROOT, ROOT, other_key], "`CN=signer` may not sign code");
    assert!(workshop.osslsigncode_trusts_root());
}

#[test]
fn a_digest_by_sha_1_is_no_signature_to_ship() {
    let workshop = Workshop::open();
    workshop.key();
    let signed = workshop.sign_with("sha1", &workshop.link(CONSOLE, "-s"));
    let mut policy = policy();
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-DIGEST", Outcome::Pass, "sha1");
    policy.authenticode = Requirement::Required;
    assert_answer(&signed, &policy, "SW-PE-SIGNATURE-DIGEST", Outcome::Fail, "sha1");
}

#[test]
fn a_payload_before_the_certificates_is_a_tail_too() {
    let workshop = Workshop::open();
    workshop.key();
    let mut program = workshop.link(CONSOLE, "-s");
    program.extend_from_slice(b"sixteen bytes...");
    let signed = workshop.sign(&program);
    assert_answer(&signed, &policy(), "SW-PE-SIGNATURE-DIGEST", Outcome::Pass, "sha256");
    let finding = finding(&signed, &policy(), "SW-TRAILING-BYTES");
    assert!(finding.outcome == Outcome::Fail && finding.observed == "16 bytes", "{finding:#?}");
    assert_eq!(finding.evidence[0].bytes, "7369787465656e2062797465732e2e2e");
}

#[test]
fn case_25_mingw_has_no_canary_unless_it_was_asked_for() {
    const RULE: &str = "SW-PE-STACK-PROTECTOR";
    let workshop = Workshop::open();
    let mut required = policy();
    required.stack_cookies = true;
    // mingw's start code has a `__security_cookie` in every program; it is no evidence.
    let plain = workshop.link(BUFFER, "");
    assert_answer(&plain, &policy(), RULE, Outcome::NotApplicable, "no canary");
    assert_answer(&plain, &required, RULE, Outcome::Fail, "no canary");
    let protected = workshop.link(BUFFER, "-fstack-protector-strong -s");
    assert_answer(&protected, &required, RULE, Outcome::Pass, "__stack_chk_fail");
    let inside = workshop.link(BUFFER, "-fstack-protector-strong -static");
    assert_answer(&inside, &required, RULE, Outcome::Pass, "symbol `.refptr.__stack_chk_guard`");
    // With FORTIFY alone, libssp has all that the protector would call.
    let fortified = workshop.link(BUFFER, "-O2 -D_FORTIFY_SOURCE=2 -static -lssp");
    assert_answer(&fortified, &required, RULE, Outcome::CannotTell, "which `_FORTIFY_SOURCE` brings too");
    assert_answer(&fortified, &policy(), RULE, Outcome::NotApplicable, "asks for none");
    let both = workshop.link(BUFFER, "-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -static");
    assert_answer(&both, &required, RULE, Outcome::Pass, "symbol `.refptr.__stack_chk_guard`");
    let stripped = workshop.link(BUFFER, "-fstack-protector-strong -static -s");
    assert_answer(&stripped, &required, RULE, Outcome::CannotTell, "a stripped file does not tell");
}

#[test]
fn case_26_the_subsystem_is_what_the_header_says_not_what_the_code_looks_like() {
    const RULE: &str = "SW-PE-SUBSYSTEM";
    let workshop = Workshop::open();
    let mut gui = policy();
    gui.subsystem = SubsystemPolicy::Gui;
    let forgotten = workshop.link(WINDOW, "");
    assert_answer(&forgotten, &gui, RULE, Outcome::Fail, "console (3)");
    assert_answer(&workshop.link(WINDOW, "-mwindows"), &gui, RULE, Outcome::Pass, "GUI (2)");
    assert_answer(&workshop.link(CONSOLE, "-mwindows"), &policy(), RULE, Outcome::Fail, "GUI (2)");
}

#[test]
fn case_27_no_stamp_a_clock_and_a_marked_hash_are_told_apart() {
    const RULE: &str = "SW-PE-TIMESTAMPS";
    let workshop = Workshop::open();
    let none = workshop.link(CONSOLE, "-Wl,--no-insert-timestamp");
    assert_answer(&none, &policy(), RULE, Outcome::Pass, "TimeDateStamp 0");
    let clock = workshop.link(CONSOLE, "-Wl,--insert-timestamp");
    assert_answer(&clock, &policy(), RULE, Outcome::Fail, "TimeDateStamp 1");
    // Linked with `/brepro`: the stamp is not zero.
    let hash = Fixture::Hardened.bytes();
    assert_ne!(number(&hash, pe(&hash, TIME_DATE_STAMP), 4), 0);
    assert_answer(&hash, &policy(), RULE, Outcome::Pass, "content hash");
}

#[test]
fn case_29_writable_code_small_sections_and_shared_memory_fail_each() {
    let whole = Workshop::open().link(CONSOLE, "-s");
    let flags = |name: &str, bits: u64| {
        let mut bytes = whole.clone();
        let field = pe_section(&bytes, name) + SECTION_CHARACTERISTICS;
        change(&mut bytes, field, 4, |flags| flags | bits);
        bytes
    };
    assert_answer(&whole, &policy(), "SW-WX-SECTIONS", Outcome::Pass, "none");
    assert_answer(&flags(".text", 0x8000_0000), &policy(), "SW-WX-SECTIONS", Outcome::Fail, "`.text`");
    assert_answer(&flags(".data", 0x1000_0000), &policy(), "SW-PE-SHARED-SECTIONS", Outcome::Fail, "`.data`");
    let mut small = whole.clone();
    let field = pe(&small, SECTION_ALIGNMENT);
    put(&mut small, field, 4, 0x200);
    assert_answer(&small, &policy(), "SW-PE-ALIGNMENT", Outcome::Fail, "0x200");
    assert_answer(&whole, &policy(), "SW-PE-ALIGNMENT", Outcome::Pass, "0x1000");
}

#[test]
fn case_31_a_packer_or_a_file_without_code_is_not_asked_about_code() {
    let mut required = policy();
    required.control_flow_guard = Requirement::Required;
    required.stack_cookies = true;
    let workshop = Workshop::open();
    let mut packed = workshop.link(CONSOLE, "-s");
    let name = pe_section(&packed, ".text");
    packed[name..name + 8].copy_from_slice(b"UPX0\0\0\0\0");
    let mut installer = packed.clone();
    installer[name..name + 8].copy_from_slice(b".ndata\0\0");
    for (bytes, packer) in [(&packed, "UPX"), (&installer, "NSIS")] {
        assert_answer(bytes, &required, "SW-PE-PACKER", Outcome::Fail, packer);
        for rule in ["SW-PE-CFG", "SW-PE-STACK-PROTECTOR"] {
            assert_answer(bytes, &required, rule, Outcome::NotApplicable, packer);
        }
        // A stub with relocations is not better than one without: what it unpacks is not judged by them.
        assert_answer(bytes, &required, "SW-PE-RELOCATIONS", Outcome::Pass, "base relocations");
    }

    let shell = &workshop.shell;
    shell.write_file("text.rc", "1 10 { \"text\" }\n").unwrap();
    cmd!(shell, "x86_64-w64-mingw32-windres text.rc text.o")
        .quiet()
        .run()
        .expect("windres runs: apt-get install binutils-mingw-w64-x86-64");
    let linked =
        cmd!(shell, "x86_64-w64-mingw32-gcc -shared -nostdlib -Wl,-e,0 -s text.o -o resources.dll").quiet();
    linked.run().expect("mingw links: apt-get install gcc-mingw-w64-x86-64");
    let mut resources = shell.read_binary_file("resources.dll").unwrap();
    // GNU ld keeps an empty `.text`; Microsoft's `/NOENTRY` leaves none.
    let count = number(&resources, pe(&resources, 6), 2) as usize;
    let first = pe(&resources, 24) + number(&resources, pe(&resources, 20), 2) as usize;
    for header in (0..count).map(|index| first + 40 * index) {
        change(&mut resources, header + SECTION_CHARACTERISTICS, 4, |flags| flags & !0x2000_0020);
    }
    let entry = pe(&resources, 24 + 16);
    put(&mut resources, entry, 4, 0);
    for rule in ["SW-PE-CFG", "SW-PE-STACK-PROTECTOR", "SW-PE-RELOCATIONS"] {
        assert_answer(&resources, &required, rule, Outcome::NotApplicable, "resources only");
    }
}

#[test]
fn a_32_bit_program_lists_its_handlers_or_fails() {
    const RULE: &str = "SW-PE-SAFESEH";
    let listed = read("i686-safe-seh.exe");
    assert_answer(&listed, &policy(), RULE, Outcome::Pass, "1 handlers listed");
    // The load configuration's directory of PE32.
    let directory = pe(&listed, 24 + 96 + 10 * 8);
    let mut without = listed.clone();
    put(&mut without, directory, 8, 0);
    assert_answer(&without, &policy(), RULE, Outcome::Fail, "anywhere");
    let field = pe(&without, DLL_CHARACTERISTICS);
    change(&mut without, field, 2, |flags| flags | 0x400);
    assert_answer(&without, &policy(), RULE, Outcome::Pass, "NO_SEH");
    assert_answer(&Fixture::Console.bytes(), &policy(), RULE, Outcome::NotApplicable, "32-bit x86");
}
