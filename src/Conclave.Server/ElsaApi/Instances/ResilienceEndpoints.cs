using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Execution;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Retry strategies that activities may name, and the retries that there were.</summary>
internal static class ResilienceEndpoints
{
    private const int MostRetries = 1_000;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/resilience/strategies", ListAsync).RequirePermission("read:activity-descriptors")
            .Describe("ElsaListResilienceStrategies", "List how failed calls may be repeated", o => o.Query("category", "Has no meaning: every strategy fits.").Answers<ListShape<StrategyShape>>());
        group.MapGet("/resilience/retries/{activityInstanceId}", RetriesAsync).RequirePermission("read:activity-execution")
            .Describe("ElsaListRetries", "List the repeated attempts of an execution", o => o
                .Query<int>("skip", "How many come before.").Query<int>("take", "Most attempts, at most 1,000.").Answers<PageShape<RetryShape>>());
    }

    /// <summary>Writes a strategy as Elsa's client reads it.</summary>
    public static void Write(Utf8JsonWriter writer, ResilienceStrategy strategy)
    {
        writer.WriteStartObject();
        writer.WriteString("$type", "HttpResilienceStrategy");
        writer.WriteString("id", strategy.Id);
        writer.WriteString("displayName", strategy.DisplayName);
        writer.WriteNumber("maxRetryAttempts", strategy.MaxRetryAttempts);
        writer.WriteBoolean("useJitter", strategy.UseJitter);
        writer.WriteString("delay", strategy.Delay.ToString());
        writer.WriteString("backoffType", strategy.BackoffType.ToString());
        writer.WriteEndObject();
    }

    // Every strategy fits every activity: whatever the category, all are listed.
    private static Task ListAsync(HttpContext context)
    {
        var strategies = context.Runtime().Catalog.Of(context.Tenant()).Engine.Options.ResilienceStrategies;
        return context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var strategy in strategies)
                Write(writer, strategy);
            writer.WriteEndArray();
            writer.WriteNumber("count", strategies.Count);
            writer.WriteEndObject();
        });
    }

    private static async Task RetriesAsync(HttpContext context, string activityInstanceId)
    {
        var (skip, take) = (context.Number("skip") ?? 0, context.Number("take") ?? MostRetries);
        if (skip < 0 || take is < 1 or > MostRetries)
            throw ApiException.Bad($"'skip' must be 0 or more, and 'take' 1 to {MostRetries}.");
        var key = ExecutionJson.ReadId(activityInstanceId) ?? ("", 0);
        var executions = context.Runtime().Executions;
        var execution = await executions.FindAsync(context.Tenant(), key.InstanceId, key.Number, context.RequestAborted);
        var retries = await executions.FindRetriesAsync(context.Tenant(), key.InstanceId, key.Number, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var retry in retries.Skip(skip).Take(take))
            {
                writer.WriteStartObject();
                writer.WriteString("id", $"{activityInstanceId}-{retry.Number}");
                writer.WriteString("activityInstanceId", activityInstanceId);
                writer.WriteString("activityId", execution?.Node?.Id ?? "");
                writer.WriteString("workflowInstanceId", key.InstanceId);
                writer.WriteNumber("attemptNumber", retry.Number);
                writer.WriteString("retryDelay", retry.SincePrevious.ToString());
                writer.WriteStartObject("details");
                if (retry.Exception is { } exception)
                {
                    writer.WriteString("Exception", exception.Type);
                    writer.WriteString("Message", exception.Message);
                }

                writer.WriteString("Timestamp", retry.Timestamp.ToString("O"));
                writer.WriteEndObject();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteNumber("totalCount", retries.Count);
            writer.WriteEndObject();
        });
    }
}
