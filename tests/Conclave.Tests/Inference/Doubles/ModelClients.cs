using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>Runs the suite of unmodified npm clients in <c>tests/model-clients</c>.</summary>
public static class ModelClients
{
    /// <summary>Runs it.</summary>
    /// <param name="server">The server, without /v1 or /api.</param>
    /// <param name="clients">Such as <c>openai,ollama</c>.</param>
    /// <param name="apiKey">Its key; null for none.</param>
    /// <param name="model">A model that chats.</param>
    /// <param name="embedModel">A model that embeds.</param>
    public static async Task<IReadOnlyList<ClientResult>> RunAsync(Uri server, string clients, string? apiKey = null, string model = "small", string embedModel = "embedder")
    {
        var folder = Assembly.GetExecutingAssembly().GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == "ModelClientsFolder").Value!;
        var start = new ProcessStartInfo("node", [Path.Combine(folder, "suite.mjs")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["BASE_URL"] = server.ToString();
        start.Environment["API_KEY"] = apiKey;
        start.Environment["MODEL"] = model;
        start.Environment["EMBED_MODEL"] = embedModel;
        start.Environment["CLIENTS"] = clients;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (output.Length == 0)
            throw new InvalidOperationException("The suite of clients did not run: " + await error);
        using var document = JsonDocument.Parse(output);
        return [.. document.RootElement.GetProperty("results").EnumerateArray().Select(r => new ClientResult(
            r.GetProperty("client").GetString()!, r.GetProperty("test").GetString()!, r.GetProperty("ok").GetBoolean(), r.TryGetProperty("error", out var text) ? text.GetString() : null))];
    }
}

/// <summary>What came of one test of one client.</summary>
public sealed record ClientResult(string Client, string Test, bool IsOk, string? Error);
