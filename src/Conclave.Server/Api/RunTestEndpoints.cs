using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents.Turns;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.RunTests;
using static Conclave.Server.Api.JsonText;

namespace Conclave.Server.Api;

/// <summary>Runs that became tests: <c>docs/run-tests.md</c>.</summary>
internal static class RunTestEndpoints
{
    public static void Map(RouteGroupBuilder tests)
    {
        var group = tests.WithTags("Run tests");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("ListRunTests", "List runs that became tests, newest first", o => o
                .Query("definitionId", "Of this workflow.").Query("agentId", "Of this agent's turns.").Pages().Answers<PageShape<RunTestShape>>());
        group.MapPost("/", CreateAsync).RequirePermission(Permissions.ExecuteTests)
            .Describe("CreateRunTest", "Make a test of a run that has ended", o => o.Takes<RunTestRequest>().Answers<RunTestShape>(201).Refuses(404, 409));
        group.MapGet("/{id}", GetAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("GetRunTest", "See a test, with everything that was recorded", o => o.Answers<RunTestShape>().Refuses(404));
        group.MapPost("/{id}/run", RunAsync).RequirePermission(Permissions.ExecuteTests)
            .Describe("RunRunTest", "Repeat a run on the workflow as it is now, without doing anything outside", o => o
                .Query("version", "latest, drafts too, or published; latest without it.").Answers<RunTestResult>().Refuses(404));
        group.MapDelete("/{id}", DeleteAsync).RequirePermission(Permissions.ExecuteTests)
            .Describe("DeleteRunTest", "Delete a test", o => o.Answers(204).Refuses(404));
    }

    private static RunTests Tests(this HttpContext context) => context.RequestServices.GetRequiredService<RunTests>();

    private static async Task<RunTest> FindAsync(HttpContext context, string id) =>
        await context.Tests().Store.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw new ApiException(404, "test.not_found", $"There is no test '{id}'.");

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var subject = context.Query("agentId") is { } agentId ? TurnTests.SubjectOf(agentId) : null;
        var found = await context.Tests().Store.ListAsync(
            context.Tenant(), context.Query("definitionId"), subject, Cursor.Read(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(
            found, found.Count == limit ? Cursor.Of(found[^1].CreatedAt, found[^1].Id) : null, (writer, t) => JsonSerializer.Serialize(writer, RunTestShape.Of(t), RunTestApiJson.Default.RunTestShape));
    }

    private static async Task CreateAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var instanceId = Text(body, "instanceId") ?? throw ApiException.Bad("'instanceId' must name the run that is to become a test.");
        // What a turn says belongs to its agent.
        var turn = await context.RequestServices.GetRequiredService<TurnStore>().FindAsync(context.Tenant(), instanceId, context.RequestAborted);
        var test = await context.Tests().CreateAsync(
            context.Tenant(), instanceId, Text(body, "name"), turn is null ? null : TurnTests.SubjectOf(turn.AgentId), context.Actor(), context.RequestAborted);
        context.Response.Headers.Location = $"/api/run-tests/{test.Id}";
        await WriteAsync(context, test, 201);
    }

    private static async Task GetAsync(HttpContext context, string id) => await WriteAsync(context, await FindAsync(context, id));

    private static async Task RunAsync(HttpContext context, string id)
    {
        var versions = context.Query("version") switch
        {
            null or "latest" => VersionOptions.Latest,
            "published" => VersionOptions.Published,
            var other => throw ApiException.Bad($"'version' must be latest or published; it is '{other}'."),
        };
        var result = await context.Tests().RunAsync(context.Tenant(), await FindAsync(context, id), versions, context.RequestAborted);
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, result, RunTestApiJson.Default.RunTestResult));
    }

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        if (!await context.Tests().Store.DeleteAsync(context.Tenant(), id, context.RequestAborted))
            throw new ApiException(404, "test.not_found", $"There is no test '{id}'.");
        context.Response.StatusCode = 204;
    }

    private static Task WriteAsync(HttpContext context, RunTest test, int status = 200) =>
        context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, RunTestShape.Of(test), RunTestApiJson.Default.RunTestShape), status);
}

/// <summary>Which run is to become a test.</summary>
/// <param name="InstanceId">The run: an instance, or a turn of an agent.</param>
internal sealed record RunTestRequest(string InstanceId)
{
    /// <summary>Name of the test; without one it is named after the workflow and the time.</summary>
    public string? Name { get; init; }
}

/// <summary>A run that became a test.</summary>
internal sealed record RunTestShape(string Id, string Name, string DefinitionId, int Version, string InstanceId, string? Subject, DateTimeOffset CreatedAt, string CreatedBy)
{
    /// <summary>What came of the last time; null when it was not run yet.</summary>
    public RunTestResult? Result { get; init; }

    /// <summary>What was recorded; not in lists.</summary>
    public RunRecording? Recording { get; init; }

    public static RunTestShape Of(RunTest test) => new(test.Id, test.Name, test.DefinitionId, test.Version, test.InstanceId, test.Subject, test.CreatedAt, test.CreatedBy)
    {
        Result = test.Result,
        Recording = test.Recording,
    };
}

/// <summary>JSON of tests.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RunTestShape))]
[JsonSerializable(typeof(RunTestResult))]
internal sealed partial class RunTestApiJson : JsonSerializerContext;
