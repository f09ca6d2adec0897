using System.ComponentModel;
using System.Diagnostics;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>One Node process: its pipes, its threads and the requests that it works on.</summary>
/// <remarks>
/// Standard streams of a child process have no asynchronous reads on Unix, where each would hold a thread of the
/// pool. A runner therefore has two threads of its own. Writes cannot block for long: the pool keeps what is unread
/// below the capacity of a pipe, except when the runner is idle and reads at once.
/// </remarks>
internal sealed class RunnerProcess : IDisposable
{
    private const int ReadBytes = 64 * 1024;
    private const int ErrorLines = 20;

    private readonly Process _process;
    private readonly ScriptRunnerPool _pool;
    private readonly Stream _input;
    private readonly Lock _sendGate = new();
    private readonly Queue<string> _errors = new();
    private readonly CancellationTokenSource _stopped = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private PooledBuffer _pending = new();
    private PooledBuffer _sending = new();
    private bool _writing;

    public RunnerProcess(Process process, ScriptRunnerPool pool)
    {
        _process = process;
        _pool = pool;
        _input = process.StandardInput.BaseStream;
        ProcessId = process.Id;
        Stopped = _stopped.Token;
    }

    public int ProcessId { get; }

    /// <summary>Cancelled when the process has ended.</summary>
    public CancellationToken Stopped { get; }

    public Task Ended => _ended.Task;

    // Guarded by the pool's lock.
    public bool IsReady { get; set; }

    public bool IsLeaving { get; set; }

    public bool IsKilled { get; set; }

    public bool IsOverdue { get; set; }

    /// <summary>In the order in which the runner answers; the first is the one that it evaluates.</summary>
    public Queue<InFlight> Order { get; } = new();

    public int UnansweredBytes { get; set; }

    /// <summary>When the first request of the order became the first, or when the process started.</summary>
    public long Since { get; set; }

    public void Start()
    {
        new Thread(ReadErrors, 256 * 1024) { IsBackground = true, Name = "script runner errors" }.Start();
        new Thread(ReadFrames, 256 * 1024) { IsBackground = true, Name = "script runner answers" }.Start();
    }

    /// <summary>Puts a frame in line; <see cref="Flush"/> sends it.</summary>
    public void Append(byte kind, uint id, ReadOnlySpan<byte> payload)
    {
        lock (_sendGate) _pending.AppendFrame(kind, id, payload);
    }

    /// <summary>Sends what is in line, unless another thread is doing so and will take it along.</summary>
    public void Flush()
    {
        while (true)
        {
            lock (_sendGate)
            {
                if (_writing || _pending.Length == 0) return;
                _writing = true;
                (_pending, _sending) = (_sending, _pending);
            }

            try
            {
                _input.Write(_sending.Written);
                _input.Flush();
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException)
            {
                // The process is gone; its reading thread sees the end and says so.
            }

            lock (_sendGate)
            {
                _sending.Clear();
                _writing = false;
            }
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (Exception exception) when (exception is InvalidOperationException or Win32Exception)
        {
            // It has ended by itself.
        }
    }

    /// <summary>The last lines of standard error.</summary>
    public string Diagnostics()
    {
        lock (_errors) return string.Join(Environment.NewLine, _errors);
    }

    public void Dispose()
    {
        _process.Dispose();
        _stopped.Dispose();
    }

    private void ReadFrames()
    {
        var buffer = new byte[ReadBytes];
        var end = 0;
        try
        {
            var output = _process.StandardOutput.BaseStream;
            while (output.Read(buffer, end, buffer.Length - end) is var read and > 0)
            {
                end += read;
                var start = 0;
                while (TakeFrame(buffer.AsSpan(start, end - start), out var header))
                {
                    start += FrameHeader.Size;
                    // A copy of its own: results keep slices of it.
                    _pool.OnFrame(this, header, buffer.AsSpan(start, header.Length).ToArray());
                    start += header.Length;
                }

                _pool.OnFramesRead(this);
                buffer = MakeRoom(buffer, start, end);
                end -= start;
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidDataException)
        {
            lock (_errors) _errors.Enqueue(exception.Message);
        }

        Kill();
        _process.WaitForExit();
        _stopped.Cancel();
        _pool.OnEnded(this);
        Dispose();
        _ended.SetResult();
    }

    private bool TakeFrame(ReadOnlySpan<byte> bytes, out FrameHeader header)
    {
        header = default;
        if (bytes.Length < FrameHeader.Size) return false;
        header = FrameHeader.Read(bytes);
        if (header.Length < 0 || header.Length > _pool.LargestFrame)
            throw new InvalidDataException($"The runner sent a frame of {header.Length} bytes.");
        return bytes.Length >= FrameHeader.Size + header.Length;
    }

    private static byte[] MakeRoom(byte[] buffer, int start, int end)
    {
        var rest = buffer.AsSpan(start, end - start);
        var needed = rest.Length >= FrameHeader.Size ? FrameHeader.Size + FrameHeader.Read(rest).Length : 0;
        var size = Math.Max(needed, ReadBytes);
        var target = size == buffer.Length || (size < buffer.Length && start == 0 && rest.Length > 0)
            ? buffer : new byte[size];
        rest.CopyTo(target);
        return target;
    }

    private void ReadErrors()
    {
        try
        {
            while (_process.StandardError.ReadLine() is { } line)
            {
                lock (_errors)
                {
                    _errors.Enqueue(line);
                    if (_errors.Count > ErrorLines) _errors.Dequeue();
                }

                _pool.OnDiagnostic(this, line);
            }
        }
        catch (Exception exception) when (exception is IOException or InvalidOperationException)
        {
            // The process is gone.
        }
    }
}
