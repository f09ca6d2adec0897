using System.Diagnostics;
using System.Globalization;

namespace Conclave.Agents.Sandbox;

/// <summary>A command that runs in the sandbox. Disposing ends it and everything that it started.</summary>
public sealed class SandboxProcess : IAsyncDisposable
{
    private const int CpuSignal = 24;
    private const int KillSignal = 9;

    // Not the whole time: what takes shorter than that cannot take much.
    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(50);

    private readonly Process _process;
    private readonly SandboxLimits _limits;
    private readonly SandboxProxy? _proxy;
    private readonly CgroupRun? _group;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _watching;
    private long _peakBytes;
    private double _cpuSeconds;
    private bool _wasTooLarge;
    private Task _discarding = Task.CompletedTask;

    internal SandboxProcess(Process process, SandboxLimits limits, SandboxProxy? proxy, CgroupRun? group, bool watchesMemory, TimeProvider time)
    {
        _process = process;
        _limits = limits;
        _proxy = proxy;
        _group = group;
        _time = time;
        _started = time.GetTimestamp();
        _watching = watchesMemory ? WatchAsync() : Task.CompletedTask;
    }

    /// <summary>Its process id, outside.</summary>
    public int Id => _process.Id;

    /// <summary>What it reads.</summary>
    public Stream Input => _process.StandardInput.BaseStream;

    /// <summary>What it writes.</summary>
    public Stream Output => _process.StandardOutput.BaseStream;

    /// <summary>What it writes to its standard error.</summary>
    public Stream Error => _process.StandardError.BaseStream;

    /// <summary>Whether it has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Reads its standard error and throws it away, so that a command that writes there does not wait for a reader.</summary>
    public void DiscardErrors() => _discarding = Error.CopyToAsync(Stream.Null);

    /// <summary>Waits until it ends.</summary>
    public Task WaitAsync(CancellationToken cancellationToken) => _process.WaitForExitAsync(cancellationToken);

    /// <summary>Ends it: the first process of its namespace dies, and with it all others.</summary>
    public void Kill()
    {
        try
        {
            _group?.Kill();
            _process.Kill();
        }
        catch (Exception exception) when (exception is InvalidOperationException or IOException)
        {
            // It has ended, and its group with it.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        await _ended.CancelAsync();
        await _watching;
        await _discarding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        _group?.Dispose();
        _process.Dispose();
        _ended.Dispose();
    }

    internal async Task<SandboxResult> RunAsync(ReadOnlyMemory<byte> input, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(_limits.Time, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        await using var killing = linked.Token.UnsafeRegister(static state => ((SandboxProcess)state!).Kill(), this);
        var output = ReadAsync(Output);
        var error = ReadAsync(Error);
        await WriteAsync(input);
        await _process.WaitForExitAsync(CancellationToken.None);
        var (kept, total) = await output;
        var (keptError, totalError) = await error;
        cancellationToken.ThrowIfCancellationRequested();
        var code = _process.ExitCode;
        var usage = _group?.Usage();
        var end = timer.IsCancellationRequested ? SandboxEnd.Timeout
            : _wasTooLarge || usage?.WasTooLarge == true ? SandboxEnd.Memory
            : code == 128 + CpuSignal || (code == 128 + KillSignal && _cpuSeconds >= _limits.Cpu.TotalSeconds) ? SandboxEnd.Cpu
            : SandboxEnd.Exited;
        return new SandboxResult(end, code, kept, keptError)
        {
            TotalBytes = total + totalError,
            Duration = _time.GetElapsedTime(_started),
            Cpu = usage?.Cpu ?? (_cpuSeconds > 0 ? TimeSpan.FromSeconds(_cpuSeconds) : null),
            MemoryBytes = usage?.PeakBytes ?? (_peakBytes > 0 ? _peakBytes : null),
            RefusedHosts = _proxy?.Refused ?? [],
            Connections = _proxy?.Connections ?? 0,
        };
    }

    // A command that does not read its input is none of our business.
    private async Task WriteAsync(ReadOnlyMemory<byte> input)
    {
        try
        {
            await Input.WriteAsync(input);
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
        }
    }

    /// <summary>Reads to the end and keeps the beginning: a command that writes more must not stop, or it would wait for us for ever.</summary>
    private async Task<(ReadOnlyMemory<byte> Kept, long Total)> ReadAsync(Stream stream)
    {
        var kept = new MemoryStream();
        var buffer = new byte[16 << 10];
        long total = 0;
        while (true)
        {
            var read = await stream.ReadAsync(buffer);
            if (read == 0)
                return (kept.GetBuffer().AsMemory(0, (int)kept.Length), total);
            total += read;
            kept.Write(buffer, 0, (int)Math.Min(read, _limits.OutputBytes - kept.Length));
        }
    }

    /// <summary>Adds up what all processes use: the limits of processes know of one each.</summary>
    private async Task WatchAsync()
    {
        try
        {
            while (!_process.HasExited)
            {
                await Task.Delay(WatchInterval, _time, _ended.Token);
                var usage = ProcessTree.Usage(_process.Id);
                _peakBytes = Math.Max(_peakBytes, usage.Bytes);
                _cpuSeconds = Math.Max(_cpuSeconds, usage.CpuSeconds);
                if (usage.Bytes <= _limits.MemoryBytes)
                    continue;
                _wasTooLarge = true;
                Kill();
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or InvalidOperationException)
        {
            // It has ended.
        }
    }
}

/// <summary>What a process and everything below it use, as <c>/proc</c> tells.</summary>
internal static class ProcessTree
{
    private const int TicksPerSecond = 100;

    /// <summary>Adds up resident bytes and processor time.</summary>
    public static (long Bytes, double CpuSeconds) Usage(int id)
    {
        var (bytes, ticks) = (0L, 0L);
        var open = new Stack<int>([id]);
        while (open.TryPop(out var next))
        {
            try
            {
                // After the name in brackets: state is the third field, utime, stime, cutime and cstime 14 to 17, resident pages the 24th.
                var stat = File.ReadAllText($"/proc/{next}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                ticks += Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
                bytes += Number(fields[21]) * Environment.SystemPageSize;
                foreach (var task in Directory.EnumerateDirectories($"/proc/{next}/task"))
                {
                    foreach (var child in File.ReadAllText($"{task}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                        open.Push((int)Number(child));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException or ArgumentOutOfRangeException or IndexOutOfRangeException)
            {
                // It has ended meanwhile; what is left of its files may be empty.
            }
        }

        return (bytes, (double)ticks / TicksPerSecond);

        static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
    }
}
