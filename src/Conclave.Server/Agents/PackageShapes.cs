using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents.Packages;

namespace Conclave.Server.Agents;

#pragma warning disable CS1573    // most members say what they are by their names

/// <summary>A package of an agent.</summary>
/// <param name="State">accepted, rejected, disabled or removed.</param>
/// <param name="Source">folder or upload.</param>
/// <param name="Version">The version that is used; null while none has passed.</param>
/// <param name="Hash">Hash of the content that is used.</param>
/// <param name="Tools">Names of the tools of its logic.</param>
/// <param name="Refused">Newer content that did not pass; null when the newest is used.</param>
/// <param name="Warnings">What it asks for and is not there.</param>
internal sealed record PackageShape(
    string Name, string State, string Source, bool Enabled, string? Version, string? Hash, string? Type, string? DisplayName, string? Description, string? Role, string? Domain,
    IReadOnlyList<string> Tools, RefusedContentShape? Refused, IReadOnlyList<PackageProblemShape> Warnings, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, string UpdatedBy,
    DateTimeOffset? RemovedAt)
{
    /// <summary>The manifest; only where one package is asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Manifest { get; init; }

    /// <summary>What became of a package of another kind; only for its upload.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImportReportShape? Import { get; init; }

    public static PackageShape Of(AgentPackage package, IReadOnlyList<PackageProblem> warnings, bool withManifest = false, ImportReport? import = null)
    {
        var manifest = package.Current?.Manifest;
        return new PackageShape(
            package.Name, Lower(package.State), Lower(package.Source), package.Enabled, manifest?.Version, package.Current?.Hash, manifest?.Type, manifest?.DisplayName,
            manifest?.Description, manifest?.Role, manifest?.Domain, [.. package.Current?.Tools.Select(t => LogicTool.FullName(package.Name, t.Name)) ?? []],
            package.Refused is { } refused ? new RefusedContentShape(refused.Hash, refused.Version, Problems(refused.Problems), refused.At) : null,
            Problems(warnings), package.CreatedAt, package.UpdatedAt, package.UpdatedBy, package.RemovedAt)
        {
            Manifest = withManifest && manifest is not null ? JsonSerializer.SerializeToElement(manifest, PackageJson.Default.AgentManifest) : null,
            Import = ImportReportShape.Of(import),
        };
    }

    public static IReadOnlyList<PackageProblemShape> Problems(IEnumerable<PackageProblem> problems) =>
        [.. problems.Select(p => new PackageProblemShape(Lower(p.Stage), p.Code, p.Message, p.File, p.Line))];

    internal static string Lower<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}

/// <summary>Content that did not pass the gatekeeper.</summary>
internal sealed record RefusedContentShape(string Hash, string? Version, IReadOnlyList<PackageProblemShape> Problems, DateTimeOffset At);

/// <summary>Something wrong with a package.</summary>
/// <param name="Stage">manifest, assets, logic, heartbeat or behaviours.</param>
/// <param name="File">The file; null for the whole package.</param>
/// <param name="Line">Its line, from 1; null where there is none.</param>
internal sealed record PackageProblemShape(string Stage, string Code, string Message, string? File, int? Line);

/// <summary>What the gatekeeper says of an upload.</summary>
/// <param name="Accepted">Whether it would be used.</param>
/// <param name="Passed">Stages that it passed; those after a stage that found something were not looked at.</param>
/// <param name="Manifest">Its manifest; null when it cannot be used.</param>
internal sealed record PackageCheckShape(
    bool Accepted, string? Name, string? Version, string Hash, IReadOnlyList<string> Passed, IReadOnlyList<PackageProblemShape> Problems, IReadOnlyList<PackageProblemShape> Warnings,
    IReadOnlyList<LogicToolShape> Tools, JsonElement? Manifest, ImportReportShape? Import)
{
    public static PackageCheckShape Of(GatekeeperReport report, IReadOnlyList<PackageProblem> warnings, ImportReport? import) => new(
        report.IsAccepted, report.Manifest?.Name, report.Manifest?.Version, report.Content.Hash, [.. report.Passed.Select(PackageShape.Lower)],
        PackageShape.Problems(report.Problems), PackageShape.Problems(warnings),
        [.. report.Tools.Select(t => new LogicToolShape(report.Manifest is { } named ? LogicTool.FullName(named.Name, t.Name) : t.Name, t.Description, t.Parameters, t.ReadOnly, t.Idempotent))],
        report.Manifest is { } manifest ? JsonSerializer.SerializeToElement(manifest, PackageJson.Default.AgentManifest) : null,
        ImportReportShape.Of(import));
}

/// <summary>A tool of a package's logic.</summary>
internal sealed record LogicToolShape(string Name, string Description, JsonElement Parameters, bool ReadOnly, bool Idempotent);

/// <summary>What became of a package of another kind.</summary>
/// <param name="Kind">aios or hairem.</param>
/// <param name="Taken">What was taken over.</param>
/// <param name="NotTaken">What was not, and what to do about it.</param>
internal sealed record ImportReportShape(string Kind, IReadOnlyList<string> Taken, IReadOnlyList<string> NotTaken)
{
    public static ImportReportShape? Of(ImportReport? report) => report is null ? null : new(report.Kind, report.Taken, report.NotTaken);
}

/// <summary>A file of a package.</summary>
internal sealed record PackageFileShape(string Path, int Length, string Sha256);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(PackageShape))]
[JsonSerializable(typeof(PackageCheckShape))]
[JsonSerializable(typeof(PackageFileShape))]
internal sealed partial class PackageApiJson : JsonSerializerContext;
