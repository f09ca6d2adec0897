using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Server.Accounts;
using Conclave.Server.Api;

namespace Conclave.Server.Inference.Ollama;

/// <summary>What Ollama's API says about models, and how it fetches, loads and deletes them.</summary>
/// <remarks>
/// The pool's models are shown as if one Ollama had them all. What changes models needs <c>manage:inference</c> and goes to the server that the header
/// <c>x-conclave-server</c> names, else to every server that it makes sense for.
/// </remarks>
internal static class OllamaModelEndpoints
{
    private static readonly TimeSpan DefaultKeepAlive = TimeSpan.FromMinutes(5);

    public static async Task TagsAsync(HttpContext context, InferenceRole role)
    {
        var models = VisibleModel.AndAliases(role, context.Tenant());
        await context.WriteJsonAsync(writer => WriteList(writer, models, (json, model) => WriteModel(json, model)));
    }

    public static async Task RunningAsync(HttpContext context, InferenceRole role)
    {
        var models = VisibleModel.Of(role.Pool, context.Tenant()).Where(model => model.Servers.Any(server => server.FindModel(model.Name)?.IsLoaded == true));
        var until = OllamaAnswer.Time(context.Clock().GetUtcNow() + DefaultKeepAlive);
        await context.WriteJsonAsync(writer => WriteList(writer, models, (json, model) => WriteModel(json, model, json =>
        {
            json.WriteString("expires_at", until);
            json.WriteNumber("size_vram", model.Model.SizeBytes ?? 0);
            if (model.Model.ContextSize is { } size)
                json.WriteNumber("context_length", size);
        })));
    }

    public static async Task ShowAsync(HttpContext context, InferenceRole role)
    {
        var body = await context.ReadObjectAsync();
        var model = Find(VisibleModel.AndAliases(role, context.Tenant()), NameOf(body));
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("modelfile", $"# The gateway answers for this model.\nFROM {model.Name}\n");
            writer.WriteString("parameters", "");
            writer.WriteString("template", "");
            WriteDetails(writer, model.Model);
            writer.WriteStartObject("model_info");
            var family = model.Model.Family ?? "unknown";
            writer.WriteString("general.architecture", family);
            if (model.Model.ContextSize is { } size)
                writer.WriteNumber($"{family}.context_length", size);
            writer.WriteEndObject();
            writer.WriteStartArray("capabilities");
            foreach (var name in CapabilityNames(model.Model.Capabilities ?? ModelCapabilities.Chat))
                writer.WriteStringValue(name);
            writer.WriteEndArray();
            if (model.Model.ModifiedAt is { } modified)
                writer.WriteString("modified_at", OllamaAnswer.Time(modified));
            model.WriteAlias(writer);
            writer.WriteEndObject();
        });
    }

    public static async Task PullAsync(HttpContext context, InferenceRole role)
    {
        var body = await context.ReadObjectAsync();
        var name = NameOf(body);
        var server = Managers(context, role).FirstOrDefault()
            ?? throw new InferenceException(InferenceFailure.Unavailable, "inference.no_server", "No server of the pool can fetch models now. Add an Ollama, or activate one.");
        var isStream = body.Flag("stream", true);
        var pull = await StartAsync(context, role, server, name);
        using var stream = EventStream.Lines(context.Response);
        await foreach (var step in role.Pulls.WatchAsync(pull.Id, context.RequestAborted))
        {
            if (step.Error is { } error)
            {
                if (!context.Response.HasStarted)
                    throw new InferenceException(InferenceFailure.ServerFailed, "inference.server_failed", $"{server.Server.Name}: {error}");
                await stream.WriteAsync(OllamaErrors.Write, error, context.RequestAborted);
            }
            else if (isStream)
            {
                await stream.WriteAsync(WriteProgress, step, context.RequestAborted);
            }
            else if (step.EndedAt is not null)
            {
                await context.WriteJsonAsync(writer => WriteProgress(writer, step));
            }
        }
    }

    // Of one that has just ended there is nothing to see any more; another one finds out that the model is there.
    private static async Task<ModelPull> StartAsync(HttpContext context, InferenceRole role, PooledServer server, string name)
    {
        try
        {
            return await role.Pulls.StartAsync(server, name, context.Actor(), context.RequestAborted);
        }
        catch (PoolException exception) when (exception.Code == "inference.pull_ended")
        {
            return await role.Pulls.StartAsync(server, name, context.Actor(), context.RequestAborted);
        }
    }

    public static async Task DeleteAsync(HttpContext context, InferenceRole role)
    {
        var name = NameOf(await context.ReadObjectAsync());
        var model = Find(context, role, name);
        var servers = Managers(context, role).Where(server => server.FindModel(model.Name) is not null).ToList();
        if (servers.Count == 0)
            throw new InferenceException(InferenceFailure.BadRequest, "inference.not_managed", $"The servers that have '{model.Name}' do not let their models be deleted.");
        foreach (var server in servers)
        {
            await ManageAsync(server, manager => manager.DeleteAsync(server.FindModel(model.Name)!.Name, context.RequestAborted));
            await server.CheckAsync(context.RequestAborted);
        }
    }

    /// <summary>Loads a model, or takes it out of memory where <c>keep_alive</c> is 0, as a chat without messages asks.</summary>
    public static async Task LoadAsync(HttpContext context, string name, JsonElement body, bool isChat)
    {
        var role = context.RequestServices.GetRequiredService<InferenceRole>();
        var model = Find(context, role, name);
        var keepAlive = ReadKeepAlive(body.Member("keep_alive"));
        context.Demand(Permissions.ManageInference);
        foreach (var server in Managers(context, role).Where(server => server.FindModel(model.Name) is not null))
        {
            var own = server.FindModel(model.Name)!.Name;
            await ManageAsync(server, manager => keepAlive == TimeSpan.Zero ? manager.UnloadAsync(own, context.RequestAborted) : manager.LoadAsync(own, keepAlive, context.RequestAborted));
            await server.CheckAsync(context.RequestAborted);
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("model", model.Name);
            writer.WriteString("created_at", OllamaAnswer.Time(context.Clock().GetUtcNow()));
            if (isChat)
            {
                writer.WriteStartObject("message");
                writer.WriteString("role", "assistant");
                writer.WriteString("content", "");
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteString("response", "");
            }

            writer.WriteString("done_reason", keepAlive == TimeSpan.Zero ? "unload" : "load");
            writer.WriteBoolean("done", true);
            writer.WriteEndObject();
        });
    }

    /// <summary>The servers that a request to change models is for.</summary>
    internal static IEnumerable<PooledServer> Managers(HttpContext context, InferenceRole role)
    {
        if (context.Request.Headers["x-conclave-server"].ToString() is { Length: > 0 } name)
        {
            var named = role.Pool.FindByName(name) is { } found && VisibleModel.IsFor(found, context.Tenant()) ? found
                : throw new InferenceException(InferenceFailure.ModelNotFound, "inference.no_such_server", $"There is no server '{name}'.");
            return named.Manager is not null ? [named]
                : throw new InferenceException(InferenceFailure.BadRequest, "inference.not_managed", $"The server '{name}' does not let its models be changed.");
        }

        return role.Pool.Servers.Where(server => server.Manager is not null && server.Accepts && VisibleModel.IsFor(server, context.Tenant()));
    }

    private static VisibleModel Find(HttpContext context, InferenceRole role, string name) => Find(VisibleModel.Of(role.Pool, context.Tenant()), name);

    private static VisibleModel Find(List<VisibleModel> all, string name) => VisibleModel.Find(all, name)
        ?? throw new InferenceException(InferenceFailure.ModelNotFound, "inference.model_not_found", $"model '{name}' not found") { Parameter = "model" };

    private static string NameOf(JsonElement body) => body.Text("model") is { Length: > 0 } model ? model : body.RequiredText("name", "model");

    private static async Task ManageAsync(PooledServer server, Func<IModelManager, Task> manage)
    {
        try
        {
            await manage(server.Manager!);
        }
        catch (ModelServerException exception)
        {
            throw Failed(server, exception);
        }
    }

    private static InferenceException Failed(PooledServer server, ModelServerException exception) => new(
        exception.Failure == ModelServerFailure.ModelNotFound ? InferenceFailure.ModelNotFound : InferenceFailure.ServerFailed,
        "inference.server_failed", $"{server.Server.Name}: {exception.Message}", exception)
    {
        RetryAfter = exception.RetryAfter,
    };

    /// <summary>A number of seconds or a duration as Go writes them; negative for ever; null where it is missing.</summary>
    private static TimeSpan? ReadKeepAlive(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Undefined:
                return null;
            case JsonValueKind.Number when value.TryGetDouble(out var seconds):
                return seconds < 0 ? TimeSpan.MaxValue : TimeSpan.FromSeconds(Math.Min(seconds, 1e9));
            case JsonValueKind.String when GoDuration.TryParse(value.GetString()!, out var time):
                return time;
            default:
                throw JsonReading.Bad("keep_alive", "must be a number of seconds or a duration such as 5m");
        }
    }

    private static void WriteProgress(Utf8JsonWriter writer, ModelPull pull)
    {
        writer.WriteStartObject();
        writer.WriteString("status", pull.Status);
        if (pull.TotalBytes is { } total && pull.EndedAt is null)
            writer.WriteNumber("total", total);
        if (pull.CompletedBytes is { } completed && pull.EndedAt is null)
            writer.WriteNumber("completed", completed);
        writer.WriteEndObject();
    }

    private static void WriteList(Utf8JsonWriter writer, IEnumerable<VisibleModel> models, Action<Utf8JsonWriter, VisibleModel> write)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("models");
        foreach (var model in models)
            write(writer, model);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter writer, VisibleModel model, Action<Utf8JsonWriter>? more = null)
    {
        writer.WriteStartObject();
        writer.WriteString("name", model.Name);
        writer.WriteString("model", model.Name);
        if (more is null)
            writer.WriteString("modified_at", OllamaAnswer.Time(model.Model.ModifiedAt ?? DateTimeOffset.UnixEpoch));
        writer.WriteNumber("size", model.Model.SizeBytes ?? 0);
        writer.WriteString("digest", model.Model.Digest ?? "");
        WriteDetails(writer, model.Model);
        more?.Invoke(writer);
        model.WriteAlias(writer);
        writer.WriteEndObject();
    }

    private static void WriteDetails(Utf8JsonWriter writer, ServedModel model)
    {
        writer.WriteStartObject("details");
        writer.WriteString("parent_model", "");
        writer.WriteString("format", model.Digest is null ? "" : "gguf");
        writer.WriteString("family", model.Family ?? "");
        writer.WriteStartArray("families");
        if (model.Family is { } family)
            writer.WriteStringValue(family);
        writer.WriteEndArray();
        writer.WriteString("parameter_size", model.ParameterSize ?? "");
        writer.WriteString("quantization_level", model.Quantization ?? "");
        writer.WriteEndObject();
    }

    private static IEnumerable<string> CapabilityNames(ModelCapabilities capabilities)
    {
        if (capabilities.HasFlag(ModelCapabilities.Chat))
            yield return "completion";
        if (capabilities.HasFlag(ModelCapabilities.Tools))
            yield return "tools";
        if (capabilities.HasFlag(ModelCapabilities.Vision))
            yield return "vision";
        if (capabilities.HasFlag(ModelCapabilities.Thinking))
            yield return "thinking";
        if (capabilities.HasFlag(ModelCapabilities.Embeddings))
            yield return "embedding";
    }
}
