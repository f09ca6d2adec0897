using System.Text.Json;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary>The models of the servers, for operators.</summary>
internal static class ModelEndpoints
{
    private const int LongestName = 255;
    private static readonly byte[] LineEnd = "\n"u8.ToArray();

    public static void Map(RouteGroupBuilder inference)
    {
        var group = inference.MapGroup("").WithTags("Models").AddEndpointFilter(OperatorProblems.HandleAsync);
        group.MapGet("/models", ListAsync).RequirePermission(Permissions.ReadInference)
            .Describe("ListServedModels", "List the models of all servers", o => o.Query("server", "Those of one server.").Answers<PageShape<ServerModelShape>>().Refuses(404, 503));
        group.MapPost("/servers/{name}/models/pull", PullAsync).RequirePermission(Permissions.ManageInference)
            .Describe("PullModel", "Begin to pull a model to a server; it goes on by itself", o => o.Takes<ModelRequest>().Answers<ModelPullShape>(202, "It runs, perhaps already before.").Refuses(404, 409, 503));
        group.MapPost("/servers/{name}/models/load", (HttpContext context, string name) => ManageAsync(
                context, name, (manager, model, body) => manager.LoadAsync(
                    model, body.Number("keepAliveSeconds", 0, 31_536_000) is { } seconds ? TimeSpan.FromSeconds(seconds) : null, context.RequestAborted)))
            .RequirePermission(Permissions.ManageInference)
            .Describe("LoadModel", "Load a model into a server's memory", o => o.Takes<ModelRequest>().Answers(204).Refuses(404, 409, 502, 503));
        group.MapPost("/servers/{name}/models/unload", (HttpContext context, string name) => ManageAsync(context, name, (manager, model, _) => manager.UnloadAsync(model, context.RequestAborted)))
            .RequirePermission(Permissions.ManageInference)
            .Describe("UnloadModel", "Take a model out of a server's memory", o => o.Takes<ModelRequest>().Answers(204).Refuses(404, 409, 502, 503));
        group.MapPost("/servers/{name}/models/delete", (HttpContext context, string name) => ManageAsync(context, name, (manager, model, _) => manager.DeleteAsync(model, context.RequestAborted)))
            .RequirePermission(Permissions.ManageInference)
            .Describe("DeleteModel", "Delete a model from a server", o => o.Takes<ModelRequest>().Answers(204).Refuses(404, 409, 502, 503));
        group.MapGet("/pulls", async (HttpContext context) => await context.WritePageAsync(
                await OperatorProblems.Role(context).Pulls.ListAsync(context.RequestAborted), null, Write))
            .RequirePermission(Permissions.ReadInference)
            .Describe("ListModelPulls", "List pulls of models, newest first", o => o.Answers<PageShape<ModelPullShape>>().Refuses(503));
        group.MapGet("/pulls/{id}", FindAsync).RequirePermission(Permissions.ReadInference)
            .Describe("GetModelPull", "See how far a pull is", o => o.Answers<ModelPullShape>().Refuses(404, 503));
        group.MapGet("/pulls/{id}/progress", FollowAsync).RequirePermission(Permissions.ReadInference)
            .Describe("FollowModelPull", "Follow a pull until it ends", o => o.AnswersFile("application/x-ndjson", "What GetModelPull answers, a line for each step.").Refuses(404, 503));
        group.MapDelete("/pulls/{id}", async (HttpContext context, string id) =>
        {
            if (!await OperatorProblems.Role(context).Pulls.CancelAsync(id, context.RequestAborted))
                throw NoPull(id);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.ManageInference).Describe("CancelModelPull", "End a pull that runs", o => o.Answers(204).Refuses(404, 503));
    }

    private static Task ListAsync(HttpContext context)
    {
        IEnumerable<PooledServer> servers = context.Query("server") is { } name
            ? [OperatorProblems.Server(context, name)]
            : OperatorProblems.Role(context).Pool.Servers.Where(s => OperatorProblems.IsSeen(context, s));
        return context.WritePageAsync(
            [.. servers.SelectMany(s => s.Models.Select(m => new ServerModelShape(s.Server.Name, s.Server.IsLocal, s.Accepts, ServedModelShape.Of(m, s.BreakerOf(m.Name)))))
                .OrderBy(m => m.Model.Name, StringComparer.Ordinal).ThenBy(m => m.Server, StringComparer.Ordinal)],
            null,
            (writer, model) => JsonSerializer.Serialize(writer, model, OperatorJson.Default.ServerModelShape));
    }

    private static async Task PullAsync(HttpContext context, string name)
    {
        var model = Name(await context.ReadObjectAsync());
        var pull = await OperatorProblems.Role(context).Pulls.StartAsync(OperatorProblems.Server(context, name), model, context.Actor(), context.RequestAborted);
        context.Response.Headers.Location = $"/api/inference/pulls/{pull.Id}";
        await context.WriteJsonAsync(writer => Write(writer, pull), 202);
    }

    private static async Task FindAsync(HttpContext context, string id)
    {
        var pull = await OperatorProblems.Role(context).Pulls.FindAsync(id, context.RequestAborted) ?? throw NoPull(id);
        await context.WriteJsonAsync(writer => Write(writer, pull));
    }

    private static async Task FollowAsync(HttpContext context, string id)
    {
        var pulls = OperatorProblems.Role(context).Pulls;
        if (await pulls.FindAsync(id, context.RequestAborted) is null)
            throw NoPull(id);
        context.Response.ContentType = "application/x-ndjson";
        context.Response.Headers.CacheControl = "no-store";
        await foreach (var step in pulls.WatchAsync(id, context.RequestAborted))
        {
            await JsonSerializer.SerializeAsync(context.Response.Body, ModelPullShape.Of(step), OperatorJson.Default.ModelPullShape, context.RequestAborted);
            await context.Response.Body.WriteAsync(LineEnd, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static async Task ManageAsync(HttpContext context, string name, Func<IModelManager, string, JsonElement, Task> action)
    {
        var body = await context.ReadObjectAsync();
        var model = Name(body);
        var server = OperatorProblems.Server(context, name);
        if (server.Manager is not { } manager)
            throw new ApiException(409, "inference.not_managed", $"The server '{server.Server.Name}' ({server.Server.Provider}) has no way to pull, delete, load or unload models. Do it on the server itself.");
        await action(manager, model, body);
        await server.CheckAsync(context.RequestAborted);
        context.Response.StatusCode = 204;
    }

    private static string Name(JsonElement body) => body.RequiredText("model") is { Length: <= LongestName } model ? model
        : throw ApiException.Bad($"'model' must have at most {LongestName} characters.");

    private static void Write(Utf8JsonWriter writer, ModelPull pull) => JsonSerializer.Serialize(writer, ModelPullShape.Of(pull), OperatorJson.Default.ModelPullShape);

    private static ApiException NoPull(string id) => new(404, "inference.no_such_pull", $"There is no pull '{id}', or it has ended.");
}
