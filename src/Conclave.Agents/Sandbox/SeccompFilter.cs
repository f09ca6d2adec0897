using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Conclave.Agents.Sandbox;

/// <summary>The filter of system calls: a program for the kernel, made here, that bubblewrap loads.</summary>
/// <remarks>
/// <para>Denied: what looks into other processes, changes mounts and namespaces, talks to the kernel's larger interfaces (bpf, io_uring, keys, perf, userfaultfd, modules), changes the
/// machine (clock, swap, reboot), or makes memory that no limit of a process counts (anonymous shared mappings, memfd, System V). <c>docs/tools.md</c> has the list.</para>
/// <para>Sources: <c>linux/seccomp.h</c>, <c>linux/bpf_common.h</c>, <c>asm/unistd.h</c> of x86-64 and arm64; the list follows Docker's and Flatpak's.</para>
/// </remarks>
internal static class SeccompFilter
{
    private const uint Allow = 0x7fff0000;
    private const uint KillProcess = 0x80000000;
    private const uint Errno = 0x00050000;
    private const uint NotPermitted = 1;
    private const uint NoSuchCall = 38;
    private const uint NoSuchFamily = 97;

    private const ushort LoadWord = 0x20;
    private const ushort JumpEqual = 0x15;
    private const ushort JumpGreaterOrEqual = 0x35;
    private const ushort And = 0x54;
    private const ushort Return = 0x06;

    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;

    // Namespaces that clone could make: mount, cgroup, uts, ipc, user, pid, net.
    private const uint NewNamespaces = 0x7E020000;
    private const uint SharedAnonymous = 0x21;
    private const uint PushInput = 0x5412;
    private const uint ConsoleIoctl = 0x541C;

    /// <summary>Names and numbers on x86-64 and arm64; -1 where there is none.</summary>
    internal static readonly (string Name, int X64, int Arm64)[] Denied =
    [
        ("ptrace", 101, 117), ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271), ("kcmp", 312, 272), ("pidfd_getfd", 438, 438), ("process_madvise", 440, 440),
        ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("chroot", 161, 51), ("setns", 308, 268), ("unshare", 272, 97), ("open_tree", 428, 428),
        ("move_mount", 429, 429), ("fsopen", 430, 430), ("fsconfig", 431, 431), ("fsmount", 432, 432), ("fspick", 433, 433), ("mount_setattr", 442, 442),
        ("bpf", 321, 280), ("perf_event_open", 298, 241), ("userfaultfd", 323, 282), ("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219),
        ("io_uring_setup", 425, 425), ("io_uring_enter", 426, 426), ("io_uring_register", 427, 427),
        ("init_module", 175, 105), ("finit_module", 313, 273), ("delete_module", 176, 106), ("kexec_load", 246, 104), ("kexec_file_load", 320, 294),
        ("reboot", 169, 142), ("swapon", 167, 224), ("swapoff", 168, 225), ("syslog", 103, 116), ("acct", 163, 89), ("quotactl", 179, 60),
        ("open_by_handle_at", 304, 265), ("name_to_handle_at", 303, 264), ("fanotify_init", 300, 262), ("lookup_dcookie", 212, 18), ("nfsservctl", 180, 42),
        ("memfd_create", 319, 279), ("memfd_secret", 447, 447), ("shmget", 29, 194), ("shmat", 30, 196), ("shmctl", 31, 195), ("msgget", 68, 186), ("semget", 64, 190),
        ("personality", 135, 92), ("iopl", 172, -1), ("ioperm", 173, -1), ("modify_ldt", 154, -1), ("uselib", 134, -1), ("vhangup", 153, 58),
        ("settimeofday", 164, 170), ("clock_settime", 227, 112), ("adjtimex", 159, 171), ("clock_adjtime", 305, 266), ("sethostname", 170, 161), ("setdomainname", 171, 162),
        ("mbind", 237, 235), ("set_mempolicy", 238, 237), ("migrate_pages", 256, 238), ("move_pages", 279, 239),
    ];

    /// <summary>Makes the filter for this machine's processor; null for one that it is not made for.</summary>
    /// <param name="hasNetwork">Whether sockets of the internet's families may be made; without, only those between processes of the sandbox.</param>
    public static byte[]? Build(bool hasNetwork) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => Build(0xC000003E, isX64: true, hasNetwork),
        Architecture.Arm64 => Build(0xC00000B7, isX64: false, hasNetwork),
        _ => null,
    };

    private static byte[] Build(uint architecture, bool isX64, bool hasNetwork)
    {
        var program = new List<(ushort Code, byte IfTrue, byte IfFalse, uint K)>();
        Emit(LoadWord, ArchitectureOffset);
        Jump(JumpEqual, architecture, 1, 0);
        Emit(Return, KillProcess);
        Emit(LoadWord, NumberOffset);
        if (isX64)
        {
            // The x32 calls have numbers of their own.
            Jump(JumpGreaterOrEqual, 0x40000000, 0, 1);
            Emit(Return, KillProcess);
        }

        foreach (var (_, x64, arm64) in Denied)
        {
            var number = isX64 ? x64 : arm64;
            if (number < 0)
                continue;
            Jump(JumpEqual, (uint)number, 0, 1);
            Emit(Return, Errno | NotPermitted);
        }

        // Its flags are in memory, which a filter cannot read: programs fall back to clone.
        Jump(JumpEqual, 435, 0, 1);
        Emit(Return, Errno | NoSuchCall);
        // Where none of the flags is set, the rest is zero, and the next instruction allows it.
        OnArgument(isX64 ? 56u : 220u, 0, () =>
        {
            Emit(And, NewNamespaces);
            Jump(JumpEqual, 0, 1, 0);
            Emit(Return, Errno | NotPermitted);
        });
        OnArgument(isX64 ? 9u : 222u, 3, () =>
        {
            Emit(And, SharedAnonymous);
            Jump(JumpEqual, SharedAnonymous, 0, 1);
            Emit(Return, Errno | NotPermitted);
        });
        OnArgument(isX64 ? 16u : 29u, 1, () =>
        {
            Jump(JumpEqual, PushInput, 1, 0);
            Jump(JumpEqual, ConsoleIoctl, 0, 1);
            Emit(Return, Errno | NotPermitted);
        });
        foreach (var number in isX64 ? (ReadOnlySpan<uint>)[41, 53] : [198, 199])
        {
            OnArgument(number, 0, () =>
            {
                var families = hasNetwork ? new uint[] { 1, 2, 10 } : [1];
                for (var i = 0; i < families.Length; i++)
                    Jump(JumpEqual, families[i], (byte)(families.Length - i), 0);
                Emit(Return, Errno | NoSuchFamily);
            });
        }

        Emit(Return, Allow);
        var bytes = new byte[program.Count * 8];
        for (var i = 0; i < program.Count; i++)
        {
            var (code, ifTrue, ifFalse, k) = program[i];
            var at = bytes.AsSpan(i * 8);
            BinaryPrimitives.WriteUInt16LittleEndian(at, code);
            at[2] = ifTrue;
            at[3] = ifFalse;
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], k);
        }

        return bytes;

        void Emit(ushort code, uint k) => program.Add((code, 0, 0, k));

        void Jump(ushort code, uint k, byte ifTrue, byte ifFalse) => program.Add((code, ifTrue, ifFalse, k));

        // A call whose argument decides: what the test does not return for is allowed. Flags and families are in the lower half of an argument.
        void OnArgument(uint number, uint argument, Action test)
        {
            var at = program.Count;
            Jump(JumpEqual, number, 0, 0);
            Emit(LoadWord, 16 + (8 * argument));
            test();
            Emit(Return, Allow);
            program[at] = (JumpEqual, 0, (byte)(program.Count - at - 1), number);
        }
    }
}
