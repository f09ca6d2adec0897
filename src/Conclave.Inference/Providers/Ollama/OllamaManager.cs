using System.Globalization;
using System.Runtime.CompilerServices;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>Pulls, deletes, loads and unloads the models of an Ollama.</summary>
internal sealed class OllamaManager(ModelServerConnection connection) : IModelManager
{
    /// <summary>Checking a large layer, or loading a large model from a slow disk, takes minutes in silence.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly Uri _pull = connection.Endpoint("api/pull");
    private readonly Uri _delete = connection.Endpoint("api/delete");
    private readonly Uri _generate = connection.Endpoint("api/generate");
    private readonly Uri _embed = connection.Endpoint("api/embed");

    public async IAsyncEnumerable<PullProgress> PullAsync(string model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var body = WireJson.Object(model, static (writer, name) =>
        {
            writer.WriteString("model"u8, name);
            writer.WriteBoolean("stream"u8, true);
        });
        using var answer = await connection.SendAsync(HttpMethod.Post, _pull, body, model, cancellationToken, Patience);
        var status = "";
        while (await answer.ReadLineAsync())
        {
            var progress = answer.Parse(line => line.TryGetProperty("error", out _)
                ? throw connection.Failed(ServerError.Parse(line), model)
                : new PullProgress(line.TextOf("status") ?? "", line.TextOf("digest"), line.NumberOf("total"), line.NumberOf("completed")));
            status = progress.Status;
            yield return progress;
        }

        if (status != "success")
            throw connection.Failed(ModelServerFailure.Cut, "ended the pull in the middle");
    }

    public async Task DeleteAsync(string model, CancellationToken cancellationToken)
    {
        var body = WireJson.Object(model, static (writer, name) => writer.WriteString("model"u8, name));
        using var answer = await connection.SendAsync(HttpMethod.Delete, _delete, body, model, cancellationToken);
        await answer.EndAsync();
    }

    public Task LoadAsync(string model, TimeSpan? keepAlive, CancellationToken cancellationToken) => KeepAsync(model, keepAlive switch
    {
        null => null,
        { } time when time == Timeout.InfiniteTimeSpan || time == TimeSpan.MaxValue => "-1s",
        { } time => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(1, (long)time.TotalSeconds)}s"),
    }, cancellationToken);

    public Task UnloadAsync(string model, CancellationToken cancellationToken) => KeepAsync(model, "0s", cancellationToken);

    /// <summary>A request without a prompt only loads the model, and with no time to keep it unloads it.</summary>
    private async Task KeepAsync(string model, string? keepAlive, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(_generate, model, keepAlive, false, cancellationToken);
        }
        catch (ModelServerException exception) when (exception.Failure == ModelServerFailure.BadRequest)
        {
            // Models that only embed do not generate.
            await SendAsync(_embed, model, keepAlive, true, cancellationToken);
        }
    }

    private async Task SendAsync(Uri endpoint, string model, string? keepAlive, bool isEmbedding, CancellationToken cancellationToken)
    {
        var body = WireJson.Object((model, keepAlive, isEmbedding), static (writer, state) =>
        {
            writer.WriteString("model"u8, state.model);
            if (state.isEmbedding)
                writer.WriteString("input"u8, ""u8);
            else
                writer.WriteBoolean("stream"u8, false);
            if (state.keepAlive is not null)
                writer.WriteString("keep_alive"u8, state.keepAlive);
        });
        using var answer = await connection.SendAsync(HttpMethod.Post, endpoint, body, model, cancellationToken, Patience);
        await answer.ReadJsonAsync(root => root.TryGetProperty("error", out _) ? throw connection.Failed(ServerError.Parse(root), model) : true);
    }
}
