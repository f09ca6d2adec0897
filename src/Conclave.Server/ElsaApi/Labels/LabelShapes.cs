namespace Conclave.Server.ElsaApi.Labels;

/// <summary>A label.</summary>
internal sealed record LabelShape(string Id, string Name, string NormalizedName, string? Description, string? Color);

/// <summary>A label to be.</summary>
internal sealed record LabelRequest(string Name)
{
    public string? Description { get; init; }

    public string? Color { get; init; }
}

/// <summary>Labels of a version.</summary>
internal sealed record LabelIdsShape(IReadOnlyList<string> Items);

/// <summary>Labels that a version gets.</summary>
internal sealed record LabelIdsRequest(IReadOnlyList<string> LabelIds);

/// <summary>Labels that a version got.</summary>
internal sealed record ReplacedLabelsShape(IReadOnlyList<string> LabelIds);
