using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Agents.Packages;

/// <summary>Reads <c>agent.yaml</c> and holds it against its schema.</summary>
internal static class ManifestCheck
{
    private static readonly Lazy<byte[]> Schema = new(ReadSchema);

    /// <summary>The JSON Schema of manifests, draft 2020-12, in UTF-8.</summary>
    public static ReadOnlyMemory<byte> SchemaJson => Schema.Value;

    /// <summary>The manifest; null when it cannot be used, and the problems say why.</summary>
    public static async Task<AgentManifest?> ReadAsync(ScriptRunnerPool scripts, PackageContent content, List<PackageProblem> problems, CancellationToken cancellationToken)
    {
        if (content.Find(PackageContent.Manifest) is not { } file)
        {
            // It may be there and be what was refused.
            problems.AddRange(content.Problems.Where(p => p.File is null or PackageContent.Manifest));
            if (problems.Count == 0)
                Add("no_manifest", $"The package has no {PackageContent.Manifest}. docs/agent-packages.md shows what it looks like.", null);
            return null;
        }

        ManifestYaml yaml;
        try
        {
            yaml = ManifestYaml.Read(file.Content.Span);
        }
        catch (ManifestYamlException exception)
        {
            Add("manifest_unreadable", exception.Message, exception.Line);
            return null;
        }

        var report = await scripts.ValidateJsonAsync(SchemaJson, JsonSerializer.SerializeToUtf8Bytes(yaml.Json, PackageJson.Default.JsonElement), cancellationToken);
        foreach (var error in report.Errors)
            Add("manifest_invalid", $"{(error.Path.Length == 0 ? "The manifest" : error.Path[1..].Replace('/', '.'))} {error.Message}.", LineOf(yaml, error));
        if (!report.Valid)
            return null;
        var manifest = yaml.Json.Deserialize(PackageJson.Default.AgentManifest)!;
        if (content.Name is { } folder && folder != manifest.Name)
            Add("wrong_name", $"The package is in the folder '{folder}', and its name is '{manifest.Name}'. Make them the same.", yaml.LineOf("/name"));
        for (var i = 0; i < manifest.Logic.Http.Count; i++)
        {
            if (!HostList.IsPattern(manifest.Logic.Http[i]))
                Add("bad_host", $"'{manifest.Logic.Http[i]}' is no host. Write api.example.com, *.example.com or api.example.com:8443.", yaml.LineOf($"/logic/http/{i}"));
        }

        CheckMood(manifest.Personality?.Mood, yaml);
        return problems.Count == 0 ? manifest : null;

        void CheckMood(AgentMood? mood, ManifestYaml at)
        {
            if (mood is null)
                return;
            NeedMood(mood.Initial, "/personality/mood/initial");
            for (var i = 0; i < mood.Rules.Count; i++)
            {
                NeedMood(mood.Rules[i].To, $"/personality/mood/rules/{i}/to");
                if (mood.Rules[i].From is { } from)
                    NeedMood(from, $"/personality/mood/rules/{i}/from");
            }

            void NeedMood(string name, string pointer)
            {
                if (!mood.Values.ContainsKey(name))
                    Add("unknown_mood", $"There is no mood '{name}'. 'personality.mood.values' has {string.Join(", ", mood.Values.Keys)}.", at.LineOf(pointer));
            }
        }

        void Add(string code, string message, int? line) => problems.Add(new PackageProblem(PackageStage.Manifest, $"agent_package.{code}", message, PackageContent.Manifest, line));
    }

    /// <summary>A member that must not be there has a line of its own.</summary>
    private static int? LineOf(ManifestYaml yaml, SchemaError error)
    {
        if (error.Keyword is "additionalProperties" && error.Message.Split('\'') is { Length: >= 3 } parts
            && yaml.Lines.TryGetValue($"{error.Path}/{parts[^2]}", out var line))
            return line;
        return yaml.LineOf(error.Path);
    }

    private static byte[] ReadSchema()
    {
        using var stream = typeof(ManifestCheck).Assembly.GetManifestResourceStream("agent.schema.json")!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
