using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>The version that clients see, and pausing the workers of all processes.</summary>
internal static class AdminEndpoints
{
    /// <summary>The version of Elsa whose API this is.</summary>
    private const string PackageVersion = "3.8.2";

    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/package/version", VersionAsync).RequirePermission(Permissions.ReadFeatures)
            .Describe("ElsaGetPackageVersion", "See the version of Elsa whose API this is", o => o.Answers<PackageVersionShape>());
        var workers = group.MapGroup("/admin/workflow-runtime");
        workers.MapGet("/status", StatusAsync).RequirePermission("read:queue").Describe("ElsaGetWorkers", "See whether workers take work", o => o.Answers<WorkersShape>());
        workers.MapPost("/pause", (HttpContext context) => PauseAsync(context, drains: false)).RequirePermission("write:queue")
            .Describe("ElsaPauseWorkers", "Pause the workers of all processes", o => o.Takes<PauseRequest>(isOptional: true).Answers<WorkersShape>());
        workers.MapPost("/resume", ResumeAsync).RequirePermission("write:queue").Describe("ElsaResumeWorkers", "Let workers take work again", o => o.Answers<WorkersShape>());
        workers.MapPost("/force-drain", (HttpContext context) => PauseAsync(context, drains: true)).RequirePermission("write:queue")
            .Describe("ElsaDrainWorkers", "Pause the workers, and stop what runs after its current activity", o => o.Takes<PauseRequest>(isOptional: true).Answers<WorkersShape>());
    }

    private static Task VersionAsync(HttpContext context) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("packageVersion", PackageVersion);
        writer.WriteEndObject();
    });

    private static async Task PauseAsync(HttpContext context, bool drains)
    {
        var reason = ElsaQuery.TextOf(await context.ReadObjectAsync(), "reason");
        await context.Runtime().Pause.PauseAsync(context.Actor(), reason, drains, context.RequestAborted);
        await StatusAsync(context);
    }

    private static async Task ResumeAsync(HttpContext context)
    {
        await context.Runtime().Pause.ResumeAsync(context.RequestAborted);
        await StatusAsync(context);
    }

    private static async Task StatusAsync(HttpContext context)
    {
        var runtime = context.Runtime();
        var paused = await runtime.Pause.FindAsync(context.RequestAborted);
        var running = await runtime.Instances.CountHeldAsync(context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartObject("state");
            writer.WriteString("reason", paused is null ? "None" : "AdministrativePause");
            writer.WriteBoolean("isAcceptingNewWork", paused is null);
            if (paused is { } by)
            {
                writer.WriteString("pausedAt", by.Since);
                writer.WriteString("pauseRequestedBy", by.Actor);
                if (by.Reason is { } reason)
                    writer.WriteString("pauseReason", reason);
            }

            writer.WriteEndObject();
            writer.WriteStartArray("sources");
            writer.WriteStartObject();
            writer.WriteString("name", "work-queue");
            writer.WriteString("state", paused is null ? "Running" : "Paused");
            writer.WriteEndObject();
            writer.WriteEndArray();
            writer.WriteNumber("activeExecutionCycleCount", running);
            writer.WriteEndObject();
        });
    }
}
