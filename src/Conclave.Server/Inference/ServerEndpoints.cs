using System.Globalization;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary>The model servers, for operators.</summary>
internal static class ServerEndpoints
{
    private static readonly HashSet<string> Members =
        ["name", "provider", "address", "apiKey", "tenant", "slots", "isLocal", "tags", "rank", "timeoutSeconds", "mode", "models"];

    public static void Map(RouteGroupBuilder inference)
    {
        var group = inference.MapGroup("/servers").WithTags("Model servers").AddEndpointFilter(OperatorProblems.HandleAsync);
        group.MapGet("/", (HttpContext context) => context.WritePageAsync(
                [.. OperatorProblems.Role(context).Pool.Servers.Where(s => OperatorProblems.IsSeen(context, s))], null,
                (writer, server) => JsonSerializer.Serialize(writer, ModelServerShape.Of(server), OperatorJson.Default.ModelServerShape)))
            .RequirePermission(Permissions.ReadInference)
            .Describe("ListModelServers", "List the model servers, how they are and what they have", o => o.Answers<PageShape<ModelServerShape>>().Refuses(503));
        group.MapGet("/{name}", (HttpContext context, string name) => WriteAsync(context, OperatorProblems.Server(context, name))).RequirePermission(Permissions.ReadInference)
            .Describe("GetModelServer", "See a model server", o => o.Answers<ModelServerShape>().Refuses(404, 503));
        group.MapPut("/{name}", PutAsync).RequirePermission(Permissions.ManageInference)
            .Describe("PutModelServer", "Add a model server, or change one", o => o
                .Header("If-Match", "Refuses to overwrite what is not the version with this ETag.").Takes<PutModelServerRequest>()
                .Answers<ModelServerShape>(200, "It was changed.").Answers<ModelServerShape>(201, "It was added.").Refuses(409, 412, 503));
        group.MapDelete("/{name}", async (HttpContext context, string name) =>
        {
            await OperatorProblems.Role(context).Pool.DeleteAsync(OperatorProblems.Server(context, name).Server.Id, context.RequestAborted);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.ManageInference)
            .Describe("DeleteModelServer", "Take a model server out of the pool; its calls run to their end", o => o.Answers(204).Refuses(404, 409, 503));
        group.MapPost("/{name}/mode", async (HttpContext context, string name) =>
        {
            var mode = Mode((await context.ReadObjectAsync()).RequiredText("mode"));
            var server = OperatorProblems.Server(context, name);
            await WriteAsync(context, await OperatorProblems.Role(context).Pool.SetModeAsync(server.Server.Id, mode, context.Actor(), context.RequestAborted));
        }).RequirePermission(Permissions.ManageInference)
            .Describe("SetModelServerMode", "Drain a model server, put it into maintenance, or have it take calls again", o => o
                .Takes<ServerModeRequest>().Answers<ModelServerShape>().Refuses(404, 503));
        group.MapPost("/{name}/check", async (HttpContext context, string name) =>
        {
            var server = OperatorProblems.Server(context, name);
            await server.CheckAsync(context.RequestAborted);
            await WriteAsync(context, server);
        }).RequirePermission(Permissions.ManageInference)
            .Describe("CheckModelServer", "Ask a model server now how it is and which models it has", o => o.Answers<ModelServerShape>().Refuses(404, 503));
    }

    internal static Task WriteAsync(HttpContext context, PooledServer server, int status = 200)
    {
        context.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{server.Stored.Version}\"");
        return context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, ModelServerShape.Of(server), OperatorJson.Default.ModelServerShape), status);
    }

    private static async Task PutAsync(HttpContext context, string name)
    {
        var body = await context.ReadObjectAsync();
        var pool = OperatorProblems.Role(context).Pool;
        var known = pool.FindByName(name) ?? pool.Find(name);
        if (known is not null && !OperatorProblems.IsSeen(context, known))
            throw new ApiException(409, "inference.server_exists", $"The name '{name}' is taken.");
        var server = Read(body, known?.Server ?? new ModelServer { Id = Guid.CreateVersion7().ToString("N"), Name = name, Provider = "", Address = new Uri("http://localhost") });
        CheckScript(server, context.RequestServices.GetRequiredService<ServerOptions>());
        var apiKey = body.Text("apiKey");
        if (known is not null)
        {
            await WriteAsync(context, await pool.UpdateAsync(server, apiKey, OperatorProblems.ExpectedVersion(context), context.Actor(), context.RequestAborted));
            return;
        }

        if (!string.IsNullOrEmpty(context.Request.Headers.IfMatch))
            throw new ApiException(412, "inference.server_changed", $"There is no server '{name}' any more, and 'If-Match' asks for one.");
        var added = await pool.AddAsync(server, apiKey, context.Actor(), context.RequestAborted);
        context.Response.Headers.Location = $"/api/inference/servers/{Uri.EscapeDataString(added.Server.Name)}";
        await WriteAsync(context, added, 201);
    }

    private static ModelServer Read(JsonElement body, ModelServer known)
    {
        if (body.EnumerateObject().FirstOrDefault(m => !Members.Contains(m.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } odd)
            throw ApiException.Bad($"There is no '{odd.Name}'. A server has {string.Join(", ", Members)}.");
        var normal = new ModelServer { Id = "", Name = "", Provider = "", Address = known.Address };
        if (!Uri.TryCreate(body.RequiredText("address"), UriKind.Absolute, out var address))
            throw ApiException.Bad("'address' must be an absolute address, such as http://gpu1:11434.");
        return new ModelServer
        {
            Id = known.Id,
            Name = body.Text("name") ?? known.Name,
            Provider = body.RequiredText("provider"),
            Address = address,
            Tenant = body.Text("tenant"),
            Slots = body.Whole("slots", 1, 10_000) ?? normal.Slots,
            IsLocal = body.Flag("isLocal", normal.IsLocal),
            Tags = body.Texts("tags") ?? [],
            Rank = body.Whole("rank", -1_000, 1_000) ?? 0,
            Timeout = body.Number("timeoutSeconds", 1, 3_600) is { } seconds ? TimeSpan.FromSeconds(seconds) : normal.Timeout,
            Mode = body.Text("mode") is { } mode ? Mode(mode) : known.Mode,
            Models = ReadModels(body.Member("models")),
        };
    }

    /// <summary>Whoever may add servers may not read every file of the machine by it: scripts are in the folder of workflows or in that of data.</summary>
    private static void CheckScript(ModelServer server, ServerOptions options)
    {
        if (server.Provider != ServerRules.Scripted || server.Address.Scheme != "file")
            return;
        var path = RealPath(server.Address.LocalPath);
        string[] folders = [.. new[] { options.WorkflowsFolder, options.DataFolder }.OfType<string>().Select(folder => RealPath(folder))];
        if (!folders.Any(folder => path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal)))
            throw new ApiException(403, "inference.script_elsewhere", $"'address' must be a file below {string.Join(" or ", folders)}; it is '{path}'. Scripts elsewhere can be named in the configuration.");
    }

    /// <summary>A path with what links lead to, whether or not there is anything.</summary>
    private static string RealPath(string path) => RealPath(path, 40);

    private static string RealPath(string path, int links)
    {
        var full = Path.GetFullPath(path);
        var real = Path.GetPathRoot(full)!;
        foreach (var part in full[real.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            var next = Path.Combine(real, part);
            real = links > 0 && new FileInfo(next).LinkTarget is { } target ? RealPath(Path.Combine(real, target), links - 1) : next;
        }

        return real;
    }

    private static IReadOnlyList<ServedModel> ReadModels(JsonElement models)
    {
        try
        {
            return models.ValueKind == JsonValueKind.Undefined ? [] : models.Deserialize(PoolJson.Default.IReadOnlyListServedModel) ?? [];
        }
        catch (JsonException exception)
        {
            throw ApiException.Bad($"'models' cannot be read: {exception.Message}");
        }
    }

    private static ServerMode Mode(string text) => text switch
    {
        "active" => ServerMode.Active,
        "draining" => ServerMode.Draining,
        "maintenance" => ServerMode.Maintenance,
        _ => throw ApiException.Bad($"'mode' must be active, draining or maintenance; it is '{text}'."),
    };
}
