using System.Globalization;
using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Which instances are meant; null and empty lists ask for nothing.</summary>
public sealed record InstanceFilter
{
    /// <summary>Ids of the instances.</summary>
    public IReadOnlyList<string>? Ids { get; init; }

    /// <summary>Workflow that they run.</summary>
    public string? DefinitionId { get; init; }

    /// <summary>Workflows that they run.</summary>
    public IReadOnlyList<string>? DefinitionIds { get; init; }

    /// <summary>Versions that they run.</summary>
    public IReadOnlyList<string>? DefinitionVersionIds { get; init; }

    /// <summary>Which versions of their workflow they run, as the workflow's versions stand now.</summary>
    public VersionOptions? Versions { get; init; }

    /// <summary>Number of the version that they run.</summary>
    public int? Version { get; init; }

    /// <summary>Whether they may still run.</summary>
    public WorkflowStatus? Status { get; init; }

    /// <summary>How they stand.</summary>
    public WorkflowSubStatus? SubStatus { get; init; }

    /// <summary>Whether they may still run; any of these.</summary>
    public IReadOnlyList<WorkflowStatus>? Statuses { get; init; }

    /// <summary>How they stand; any of these.</summary>
    public IReadOnlyList<WorkflowSubStatus>? SubStatuses { get; init; }

    /// <summary>Correlation id.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Correlation ids.</summary>
    public IReadOnlyList<string>? CorrelationIds { get; init; }

    /// <summary>Names.</summary>
    public IReadOnlyList<string>? Names { get; init; }

    /// <summary>The instance that started them.</summary>
    public string? ParentId { get; init; }

    /// <summary>Whether they have incidents.</summary>
    public bool? HasIncidents { get; init; }

    /// <summary>Part of the name, of the correlation id, or of the id of the instance, its workflow or its version; upper and lower case are the same.</summary>
    public string? Search { get; init; }

    /// <summary>When they were created, changed or ended.</summary>
    public IReadOnlyList<TimeFilter>? Times { get; init; }

    /// <summary>Whether those that have ended are left out when their workflow was deleted.</summary>
    public bool LeavesOutDeleted { get; init; }

    /// <summary>Whether it asks for nothing, so that all are meant.</summary>
    public bool IsEmpty
    {
        get
        {
            var parameters = new NpgsqlCommand().Parameters;
            Write(new StringBuilder(), parameters, "");
            return parameters.Count == 1 && HasIncidents is null && Versions is null;
        }
    }

    /// <summary>Writes the condition of a query.</summary>
    internal void Write(StringBuilder sql, NpgsqlParameterCollection parameters, string tenant)
    {
        // Both spellings, so that the indexes of lists can be used; see the script that makes them.
        parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        sql.Append(CultureInfo.InvariantCulture, $"tenant = ${parameters.Count} and tenant collate \"C\" = ${parameters.Count}");
        IsText("definition_id", DefinitionId);
        IsText("correlation_id", CorrelationId);
        IsText("parent_id", ParentId);
        IsAny("id", Ids);
        IsAny("definition_id", DefinitionIds);
        IsAny("definition_version_id", DefinitionVersionIds);
        IsAny("correlation_id", CorrelationIds);
        IsAny("name", Names);
        if (Version is { } version)
            Where("version =", new NpgsqlParameter<int> { TypedValue = version });
        if (Versions is { } versions)
        {
            var isMeant = versions.Kind switch
            {
                VersionKind.Latest => "d.is_latest",
                VersionKind.Published => "d.is_published",
                VersionKind.Draft => "not d.is_published",
                VersionKind.LatestOrPublished => "(d.is_latest or d.is_published)",
                VersionKind.LatestAndPublished => "d.is_latest and d.is_published",
                VersionKind.Number => string.Create(CultureInfo.InvariantCulture, $"d.version = {versions.Version}"),
                _ => "true",
            };
            sql.Append(CultureInfo.InvariantCulture, $" and definition_version_id in (select d.id from conclave.workflow_definition d where d.tenant = $1 and d.definition_id = workflow_instance.definition_id and {isMeant})");
        }

        if (LeavesOutDeleted)
            sql.Append(" and (status = 0 or definition_id in (select d.definition_id from conclave.workflow_definition d where d.tenant = $1 and d.is_latest))");
        if (Status is { } status)
            Where("status =", new NpgsqlParameter<short> { TypedValue = (short)status });
        if (SubStatus is { } subStatus)
            Where("sub_status =", new NpgsqlParameter<short> { TypedValue = (short)subStatus });
        if (Statuses is { Count: > 0 } statuses)
            Where("status = any", new NpgsqlParameter<short[]> { TypedValue = [.. statuses.Select(s => (short)s)] });
        if (SubStatuses is { Count: > 0 } subStatuses)
            Where("sub_status = any", new NpgsqlParameter<short[]> { TypedValue = [.. subStatuses.Select(s => (short)s)] });
        if (HasIncidents is { } hasIncidents)
            sql.Append(hasIncidents ? " and incident_count > 0" : " and incident_count = 0");
        foreach (var time in Times ?? [])
            time.Write(sql, parameters);
        if (Search is { Length: > 0 } search)
        {
            // One text, put into small letters once: five comparisons that ignore case take five times as long.
            parameters.Add(new NpgsqlParameter<string> { TypedValue = $"%{Escape(search.ToLowerInvariant())}%" });
            sql.Append(CultureInfo.InvariantCulture, $" and lower(concat_ws(chr(31), name, correlation_id, id, definition_id, definition_version_id)) like ${parameters.Count}");
        }

        void IsText(string column, string? value)
        {
            if (value is not null)
                Where($"{column} =", new NpgsqlParameter<string> { TypedValue = value });
        }

        void IsAny(string column, IReadOnlyList<string>? values)
        {
            if (values is { Count: > 0 })
                Where($"{column} = any", new NpgsqlParameter<string[]> { TypedValue = [.. values] });
        }

        void Where(string condition, NpgsqlParameter value)
        {
            parameters.Add(value);
            sql.Append(CultureInfo.InvariantCulture, $" and {condition}(${parameters.Count})");
        }
    }

    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal);
}

/// <summary>A time of an instance.</summary>
public enum InstanceTime
{
    /// <summary>When it was created.</summary>
    CreatedAt,

    /// <summary>When it last changed.</summary>
    UpdatedAt,

    /// <summary>When it ended.</summary>
    FinishedAt,
}

/// <summary>How a time is compared.</summary>
public enum TimeComparison
{
    /// <summary>At that time.</summary>
    Is,

    /// <summary>At another time.</summary>
    IsNot,

    /// <summary>Before.</summary>
    LessThan,

    /// <summary>After.</summary>
    GreaterThan,

    /// <summary>Before, or at that time.</summary>
    LessThanOrEqual,

    /// <summary>After, or at that time.</summary>
    GreaterThanOrEqual,
}

/// <summary>Instances by a time. Midnight stands for the whole day.</summary>
/// <param name="Column">Which time of the instance.</param>
/// <param name="Comparison">How it is compared.</param>
/// <param name="Time">With what.</param>
public sealed record TimeFilter(InstanceTime Column, TimeComparison Comparison, DateTimeOffset Time)
{
    internal void Write(StringBuilder sql, NpgsqlParameterCollection parameters)
    {
        var column = Column switch
        {
            InstanceTime.CreatedAt => "created_at",
            InstanceTime.UpdatedAt => "updated_at",
            _ => "finished_at",
        };
        // A time to compare with is the moment itself, or from the beginning of a day to the beginning of the next. PostgreSQL keeps microseconds.
        var length = Time.TimeOfDay == TimeSpan.Zero ? TimeSpan.FromDays(1) : TimeSpan.FromMicroseconds(1);
        var end = Time > DateTimeOffset.MaxValue - length ? DateTimeOffset.MaxValue : Time + length;
        sql.Append(Comparison switch
        {
            TimeComparison.Is => $" and {column} >= {Add(Time)} and {column} < {Add(end)}",
            TimeComparison.IsNot => $" and ({column} < {Add(Time)} or {column} >= {Add(end)} or {column} is null)",
            TimeComparison.LessThan => $" and {column} < {Add(Time)}",
            TimeComparison.GreaterThan => $" and {column} >= {Add(end)}",
            TimeComparison.LessThanOrEqual => $" and {column} < {Add(end)}",
            _ => $" and {column} >= {Add(Time)}",
        });

        string Add(DateTimeOffset time)
        {
            parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = time.ToUniversalTime() });
            return string.Create(CultureInfo.InvariantCulture, $"${parameters.Count}");
        }
    }
}
