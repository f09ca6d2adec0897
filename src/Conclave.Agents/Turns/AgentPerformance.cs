using Conclave.Workflows.Runtime.Postgres;

namespace Conclave.Agents.Turns;

/// <summary>How well an agent did in some days.</summary>
/// <param name="Days">How many days, of UTC, today among them.</param>
/// <param name="Since">When the first of them began.</param>
/// <param name="Total">All of them together.</param>
/// <param name="ByDay">Each day that had turns, the oldest first; a turn belongs to the day on which it began.</param>
public sealed record AgentPerformance(int Days, DateTimeOffset Since, TurnFigures Total, IReadOnlyList<TurnFigures> ByDay)
{
    /// <summary>Most days that are summed up at once.</summary>
    public const int MostDays = 90;
}

/// <summary>Turns, summed up.</summary>
/// <param name="Day">The day; null for all together.</param>
/// <param name="Turns">How many began, those under way among them.</param>
/// <param name="Completed">How many were answered.</param>
/// <param name="Failed">How many failed.</param>
/// <param name="Cancelled">How many somebody cancelled.</param>
/// <param name="P50Seconds">Half of the answers came within so many seconds of the message, the time in which people were asked included; null without answers.</param>
/// <param name="P95Seconds">Within so many seconds came 95 of 100; null without answers.</param>
/// <param name="ModelCalls">Calls of models.</param>
/// <param name="ToolCalls">Calls of tools.</param>
/// <param name="InputTokens">Tokens that models read.</param>
/// <param name="OutputTokens">Tokens that models wrote.</param>
/// <param name="Cost">Money, in the currency of the models' prices.</param>
public sealed record TurnFigures(
    DateOnly? Day, long Turns, long Completed, long Failed, long Cancelled, double? P50Seconds, double? P95Seconds, long ModelCalls, long ToolCalls, long InputTokens, long OutputTokens, decimal Cost)
{
    /// <summary>Which part of the turns that ended by themselves was answered, 0 to 1; null while none has.</summary>
    public double? SuccessRate => Completed + Failed == 0 ? null : (double)Completed / (Completed + Failed);

    internal static TurnFigures None { get; } = new(null, 0, 0, 0, 0, null, null, 0, 0, 0, 0, 0);
}

public sealed partial class TurnStore
{
    /// <summary>How well an agent did in the days until <paramref name="now"/>.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="days">How many days, the present one among them; 1 to <see cref="AgentPerformance.MostDays"/>.</param>
    /// <param name="now">The present.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<AgentPerformance> SumAsync(string tenant, string agentId, int days, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var since = new DateTimeOffset(now.UtcDateTime.Date.AddDays(1 - days), TimeSpan.Zero);
        await using var command = database.CreateCommand("""
            select day, count(*), count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed'), count(*) filter (where status = 'cancelled'),
                   percentile_cont(0.5) within group (order by seconds) filter (where status = 'completed'),
                   percentile_cont(0.95) within group (order by seconds) filter (where status = 'completed'),
                   sum(model_calls), sum(tool_calls), sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost)
              from (select *, (started_at at time zone 'UTC')::date as day, extract(epoch from ended_at - started_at)::float8 as seconds
                      from conclave.agent_turn where tenant collate "C" = $1 and agent_id = $2 and started_at >= $3) turn
             group by grouping sets ((), (day))
            having count(*) > 0
             order by day nulls first
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        command.Parameters.AddTime(since);
        var figures = new List<TurnFigures>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            figures.Add(new TurnFigures(
                reader.IsDBNull(0) ? null : reader.GetFieldValue<DateOnly>(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4),
                reader.IsDBNull(5) ? null : reader.GetDouble(5), reader.IsDBNull(6) ? null : reader.GetDouble(6),
                reader.GetInt64(7), reader.GetInt64(8), reader.GetInt64(9), reader.GetInt64(10), reader.GetDecimal(11)));
        }

        return new AgentPerformance(days, since, figures is [var total, ..] ? total : TurnFigures.None, [.. figures.Skip(1)]);
    }
}
