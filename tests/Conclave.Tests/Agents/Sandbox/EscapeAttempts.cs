using Conclave.Agents.Tools;

namespace Conclave.Tests.Agents.Sandbox;

/// <summary>Sixty ways out that somebody may try: each is really tried, and says what it came to.</summary>
/// <remarks>What runs prints <c>ESCAPED</c> when it got what it wanted and <c>REFUSED</c> when not; what is refused before it runs, or ended while it runs, has the code that is named.</remarks>
internal static class EscapeAttempts
{
    private const string Metadata = "169.254.169.254";

    public static IReadOnlyDictionary<string, (string? Code, Func<EscapeHost, Task<ToolResult>> Try)> All { get; } = new Dictionary<string, (string?, Func<EscapeHost, Task<ToolResult>>)>
    {
        // Files.
        ["file: the server's secret by its path"] = Shell(h => $"cat {h.SecretFile}"),
        ["file: accounts with passwords"] = Shell(_ => "cat /etc/shadow"),
        ["file: the machine's accounts"] = Shell(_ => "grep '^root:' /etc/passwd"),
        ["file: homes of people and the server"] = Shell(_ => "ls -d /root /home /var/lib /srv 2>/dev/null | grep ."),
        ["file: write a program"] = Shell(_ => "touch /usr/bin/escaped"),
        ["file: write into the root"] = Shell(_ => "touch /escaped"),
        ["file: change names of hosts"] = Shell(_ => "echo '1.2.3.4 example.com' >> /etc/hosts"),
        ["file: make a device"] = Shell(_ => "mknod /workspace/disk b 8 0"),
        ["file: another agent's workspace"] = (null, async h =>
        {
            await h.Host.OutputAsync("workspace-write", $$"""{"path":"mine.txt","content":"{{h.Secret}}"}""", agent: "other");
            return await h.ShellAsync($"grep -rs {h.Secret} /workspace /workspace/../../other && echo ESCAPED || echo REFUSED");
        }
        ),
        ["file: larger than allowed"] = Shell(_ => "dd if=/dev/zero of=/workspace/large bs=1M count=16 2>/dev/null"),
        ["file: fill the memory through /tmp"] = Shell(_ => "dd if=/dev/zero of=/tmp/a bs=1M count=8 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9; do cp /tmp/a /tmp/a$i || exit 1; done"),
        ["link: the server reads through one"] = ("workspace.link", async h =>
        {
            Assert.True((await h.ShellAsync($"ln -sf {h.SecretFile} /workspace/link.txt")).IsSuccess);
            return await h.Host.CallAsync("workspace-read", """{"path":"link.txt"}""");
        }
        ),
        ["link: the server writes through one"] = ("workspace.link", async h =>
        {
            Assert.True((await h.ShellAsync($"ln -sfn {h.Host.Folder} /workspace/folder")).IsSuccess);
            var result = await h.Host.CallAsync("workspace-write", """{"path":"folder/planted.txt","content":"x"}""");
            Assert.False(File.Exists(Path.Combine(h.Host.Folder, "planted.txt")));
            return result;
        }
        ),
        ["link: a second name for a file outside"] = Shell(_ => "ln /usr/bin/env /workspace/env"),
        ["pipe: have the server wait for ever"] = ("workspace.not_a_file", async h =>
        {
            Assert.True((await h.ShellAsync("rm -f /workspace/pipe; mkfifo /workspace/pipe")).IsSuccess);
            return await h.Host.CallAsync("workspace-read", """{"path":"pipe"}""");
        }
        ),

        // The environment and other processes.
        ["environment: the server's"] = Shell(h => $"env | grep {h.Secret}"),
        ["environment: the first process's"] = Shell(h => $"tr '\\0' '\\n' < /proc/1/environ | grep {h.Secret}"),
        ["proc: the root of the first process"] = Shell(h => $"cat /proc/1/root{h.SecretFile}"),
        ["proc: the server among the processes"] = Shell(_ => "cat /proc/[0-9]*/comm | grep -E 'dotnet|testhost|conclave|postgres'"),
        ["proc: change the kernel's settings"] = Shell(_ => "echo escaped > /proc/sys/kernel/core_pattern"),
        ["proc: restart the machine"] = Shell(_ => "echo b > /proc/sysrq-trigger"),
        ["proc: the kernel's memory"] = Shell(_ => "head -c 1 /proc/kcore | grep -q ."),
        ["sys: devices of the machine"] = Shell(_ => "ls /sys/class"),
        ["signal: kill the server"] = Shell(_ => $"kill -9 {Environment.ProcessId}"),
        ["signal: kill everything that there is"] = (null, async h =>
        {
            var result = await h.ShellAsync("kill -9 -1; echo REFUSED");
            Assert.False(System.Diagnostics.Process.GetCurrentProcess().HasExited);
            return result with { Output = System.Text.Json.JsonElement.Parse("\"REFUSED\"") };
        }
        ),

        // The network.
        ["network: a server on this machine"] = (null, h => h.PerlAsync(Connect($"AF_INET, SOCK_STREAM, 0", $"pack_sockaddr_in({h.Port}, inet_aton(\"127.0.0.1\"))"))),
        ["network: the cloud's metadata"] = (null, h => h.PerlAsync(Connect("AF_INET, SOCK_STREAM, 0", $"pack_sockaddr_in(80, inet_aton(\"{Metadata}\"))"))),
        ["network: names of hosts"] = Shell(_ => "getent hosts example.com"),
        ["socket: raw packets"] = (null, h => h.PerlAsync("print socket(S, 17, 3, 0) ? \"ESCAPED\" : \"REFUSED\"")),
        ["socket: the kernel's routing"] = (null, h => h.PerlAsync("print socket(S, 16, 3, 0) ? \"ESCAPED\" : \"REFUSED\"")),
        ["socket: the hypervisor"] = (null, h => h.PerlAsync("print socket(S, 40, 1, 0) ? \"ESCAPED\" : \"REFUSED\"")),
        ["socket: a server's abstract name"] = (null, h => h.PerlAsync(Connect("AF_UNIX, SOCK_STREAM, 0", $"pack_sockaddr_un(\"\\0{h.AbstractName}\")"))),
        ["proxy: a host that is not on the list"] = (null, h => Proxy(h, "example.com:443", "example.com:443")),
        ["proxy: a listed name with an internal address"] = (null, h => Proxy(h, $"127.0.0.1:{h.Port}", $"127.0.0.1:{h.Port}")),
        ["web-fetch: the cloud's metadata"] = ("tool.host_refused", h => h.Host.CallAsync("web-fetch", $$"""{"url":"http://{{Metadata}}/latest/meta-data/"}""")),

        // More than is allowed.
        ["processes: a fork bomb"] = (null, async h =>
        {
            var result = await h.ShellAsync("bomb() { bomb | bomb & }; bomb; sleep 20; echo ESCAPED");
            Assert.Contains("REFUSED", (await h.ShellAsync("echo REFUSED")).Text, StringComparison.Ordinal);
            Assert.DoesNotContain("ESCAPED", result.Text, StringComparison.Ordinal);
            return result;
        }
        ),
        ["memory: one process"] = (null, h => h.PerlAsync("$x = \"x\" x (1 << 29); print \"ESCAPED\"")),
        ["memory: many processes"] = ("tool.memory_limit", h => h.PerlAsync("for (1..6) { if (!fork) { $x = \"x\" x (60 << 20); sleep 20; exit } } wait for 1..6; print \"ESCAPED\"")),
        ["memory: shared, which no limit counts"] = (null, h => h.PerlAsync($"$r = syscall({MapCall}, 0, 1 << 30, 3, 0x21, -1, 0); print $r == -1 ? \"REFUSED\" : \"ESCAPED\"")),
        ["memory: a file in memory"] = (null, h => h.SystemCallAsync("memfd_create", "\"x\"", "0")),
        ["time: more processor time"] = ("tool.cpu_limit", h => h.ShellAsync("while :; do :; done")),
        ["time: longer than allowed"] = ("tool.timeout", h => h.ShellAsync("sleep 60; echo ESCAPED")),

        // The kernel.
        ["kernel: a user namespace of its own"] = Shell(_ => "unshare -U true"),
        ["kernel: mount"] = (null, h => h.SystemCallAsync("mount", "\"none\"", "\"/tmp\"", "\"tmpfs\"", "0", "0")),
        ["kernel: trace the first process"] = (null, h => h.SystemCallAsync("ptrace", "16", "1", "0", "0")),
        ["kernel: programs in the kernel"] = (null, h => h.SystemCallAsync("bpf", "0", "0", "0")),
        ["kernel: keys of others"] = (null, h => h.SystemCallAsync("keyctl", "0", "-3", "1")),
        ["kernel: open files by number"] = (null, h => h.SystemCallAsync("open_by_handle_at", "-1", "0", "0")),
        ["rights: become root"] = (null, h => h.PerlAsync("$< = 0; $> = 0; print $< == 0 || $> == 0 ? \"ESCAPED\" : \"REFUSED\"")),
        ["terminal: type into it"] = (null, h => h.PerlAsync("$c = \"x\"; print ioctl(STDIN, 0x5412, $c) ? \"ESCAPED\" : \"REFUSED\"")),

        // Scripts.
        ["script: Node's own objects"] = (null, h => h.ScriptAsync("""
            const found = [typeof process, typeof require, typeof fetch, typeof native, typeof WebAssembly, typeof Deno, typeof std].filter(t => t !== 'undefined');
            let made = 'REFUSED'; try { made = this.constructor.constructor('return process')() ? 'ESCAPED' : 'REFUSED'; } catch {}
            return found.length === 0 ? made : 'ESCAPED ' + found;
            """)),
        ["script: what the next one sees"] = (null, async h =>
        {
            await h.ScriptAsync("Object.prototype.planted = 'ESCAPED'; Array.prototype.push = () => 'ESCAPED'; globalThis.planted = 'ESCAPED'; ctx.planted = 1; return 1;");
            return await h.ScriptAsync("return ({}).planted ?? globalThis.planted ?? ctx.planted ?? (typeof [].push(1) === 'number' ? 'REFUSED' : 'ESCAPED');");
        }
        ),
        ["script: never ends"] = ("tool.timeout", h => h.ScriptAsync("for (;;);")),
        ["script: all memory"] = ("tool.memory_limit", h => h.ScriptAsync("const kept = []; for (;;) kept.push(new Array(100000).fill(7));")),
        ["script: a host that is not on its list"] = ("tool.host_refused", h => h.ScriptAsync($"return ctx.http.get('http://127.0.0.1:{h.Port}/').body;", """{"network":["example.com"]}""")),
        ["script: a listed internal address"] = ("http.address_refused", h => h.ScriptAsync($"return ctx.http.get('http://{Metadata}/').body;", $$"""{"network":["{{Metadata}}"]}""")),
        ["script: secrets, files and events that nobody gave it"] = ("tool.script_refused", h => h.ScriptAsync("""
            const tried = [() => ctx.files.read('../../secret.txt'), () => ctx.memory.get('x'), () => ctx.bus.publish('x', 1), () => ctx.home.state('lock.door'), () => getSecret('key')];
            for (const attempt of tried) { try { await attempt(); return 'ESCAPED'; } catch {} }
            return ctx.files.read('notes.txt');
            """)),

        // Arguments that a page or a mail talked the model into.
        ["arguments: an option where a word is meant"] = ("tool.input_option", h => h.Host.CallAsync("print", EscapeHost.Arguments("word", "--upload-pack=touch /workspace/escaped"))),
        ["arguments: rights of others"] = ("tool.input_privilege", h => h.Host.CallAsync("print", EscapeHost.Arguments("word", "x; sudo cat /etc/shadow"))),
        ["arguments: a path out of the workspace, encoded twice"] = ("tool.input_path", h => h.Host.CallAsync("workspace-read", EscapeHost.Arguments("path", "notes/%252e%252e/%252e%252e/secret.txt"))),
    };

    private static int MapCall => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? 222 : 9;

    private static (string?, Func<EscapeHost, Task<ToolResult>>) Shell(Func<EscapeHost, string> script) => (null, h => h.ShellAsync($"{{ {script(h)}; }} && echo ESCAPED || echo REFUSED"));

    private static string Connect(string socket, string address) => $"print socket(S, {socket}) && connect(S, {address}) ? \"ESCAPED\" : \"REFUSED\"";

    // The proxy's address is in the environment: what it is asked for is whatever the command says.
    private static async Task<ToolResult> Proxy(EscapeHost host, string target, string refused)
    {
        var result = await host.Host.CallAsync("networked", EscapeHost.Arguments("script", $$"""
            node -e 'const u = new URL(process.env.http_proxy); require("http").request({ host: u.hostname, port: u.port, method: "CONNECT", path: "{{target}}" })
              .on("connect", r => { console.log(r.statusCode === 200 ? "ESCAPED" : "REFUSED " + r.statusCode); process.exit(0) }).on("error", e => { console.log(e.message); process.exit(1) }).end()'
            """));
        Assert.Contains(refused, result.Usage.Refused ?? []);
        return result;
    }
}
