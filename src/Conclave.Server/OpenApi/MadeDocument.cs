using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Conclave.Server.OpenApi;

/// <summary>The document as it is sent.</summary>
/// <param name="Json">Its text.</param>
/// <param name="Brotli">The same, compressed.</param>
/// <param name="Hash">Names its content.</param>
internal sealed record MadeDocument(byte[] Json, byte[] Brotli, string Hash)
{
    public static MadeDocument Of(byte[] json)
    {
        using var buffer = new MemoryStream();
        using (var brotli = new BrotliStream(buffer, CompressionLevel.Optimal, leaveOpen: true))
            brotli.Write(json);
        return new MadeDocument(json, buffer.ToArray(), Convert.ToHexStringLower(SHA256.HashData(json))[..16]);
    }
}

/// <summary>Keeps the document in a file of the data folder, and has it made once for each build of the program.</summary>
/// <remarks>
/// By a process of its own: what makes it takes seconds of compiling code that is used once, and some 70 MB that a server would not get rid of again.
/// </remarks>
internal sealed partial class DocumentFile(ServerOptions options, IServiceProvider services, ILogger<DocumentFile> logger) : IDisposable
{
    /// <summary>Setting of a process that is to write the document to a file and to end.</summary>
    public const string WriteTo = "OpenApi:WriteTo";

    private const string Pattern = "openapi-*.json";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private MadeDocument? _made;

    /// <summary>The document.</summary>
    public async Task<MadeDocument> ReadAsync(CancellationToken cancellationToken)
    {
        if (_made is { } made)
            return made;
        await _turn.WaitAsync(cancellationToken);
        try
        {
            return _made ??= MadeDocument.Of(await FindAsync(cancellationToken));
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Writes the document to a file that is there as a whole or not at all.</summary>
    public static async Task WriteAsync(IServiceProvider services, string file, CancellationToken cancellationToken)
    {
        var beside = $"{file}.{Environment.ProcessId}";
        await File.WriteAllBytesAsync(beside, await OpenApiEndpoints.WriteAsync(services, cancellationToken), cancellationToken);
        File.Move(beside, file, overwrite: true);
    }

    public void Dispose() => _turn.Dispose();

    private async Task<byte[]> FindAsync(CancellationToken cancellationToken)
    {
        var file = Path.Combine(options.DataFolder, Pattern.Replace("*", Build(), StringComparison.Ordinal));
        if (!File.Exists(file))
        {
            foreach (var earlier in Directory.EnumerateFiles(options.DataFolder, Pattern))
                File.Delete(earlier);
            await MakeAsync(file, cancellationToken);
        }

        return File.Exists(file) ? await File.ReadAllBytesAsync(file, cancellationToken) : await OpenApiEndpoints.WriteAsync(services, cancellationToken);
    }

    private async Task MakeAsync(string file, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardError = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(start.FileName).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
            start.ArgumentList.Add(typeof(DocumentFile).Assembly.Location);
        foreach (var argument in (string[])["--data", options.DataFolder, "--roles", "web", "--set", $"{WriteTo}={file}"])
            start.ArgumentList.Add(argument);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        using var process = Process.Start(start)!;
        try
        {
            var complaints = process.StandardError.ReadToEndAsync(limit.Token);
            await process.StandardOutput.BaseStream.CopyToAsync(Stream.Null, limit.Token);
            await process.WaitForExitAsync(limit.Token);
            if (process.ExitCode != 0)
                LogNotMade($"it ended with {process.ExitCode}: {await complaints}");
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            cancellationToken.ThrowIfCancellationRequested();
            LogNotMade($"it took longer than {Patience.TotalSeconds:N0} s");
        }
    }

    /// <summary>Changes with every build of what the document describes.</summary>
    private static string Build()
    {
        var own = typeof(DocumentFile).Assembly;
        var parts = own.GetReferencedAssemblies().Where(a => a.Name!.StartsWith("Conclave.", StringComparison.Ordinal)).Select(Assembly.Load).Append(own);
        var text = string.Join(' ', parts.Select(a => a.ManifestModule.ModuleVersionId).Order()) + RuntimeInformation.FrameworkDescription;
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
    }

    [LoggerMessage(3041, LogLevel.Warning, "The process that makes the OpenAPI document failed ({Reason}); this one makes it, and its memory grows by some 70 MB.")]
    private partial void LogNotMade(string reason);
}
