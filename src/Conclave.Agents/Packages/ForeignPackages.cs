using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Serialization;

namespace Conclave.Agents.Packages;

/// <summary>What became of a package of another kind.</summary>
/// <param name="Kind">What it was: <c>aios</c> or <c>hairem</c>.</param>
/// <param name="Taken">What was taken over, a sentence each.</param>
/// <param name="NotTaken">What was not, and what to do about it, a sentence each.</param>
public sealed record ImportReport(string Kind, IReadOnlyList<string> Taken, IReadOnlyList<string> NotTaken);

/// <summary>Makes packages of those of AIOS (its SDK Cerebrum) and of hAIrem. Their Python is never run: it is named in the report.</summary>
/// <remarks>
/// Sources: AIOS, "Agent package": <c>author/name</c> with <c>config.json</c> (<c>name</c>, <c>description</c>, <c>tools</c>, <c>meta</c>, <c>build</c>), <c>entry.py</c>,
/// <c>meta_requirements.txt</c>. hAIrem, "Agent bundle": <c>manifest.yaml</c>, <c>persona.yaml</c>, optional logic class, media.
/// </remarks>
internal static partial class ForeignPackages
{
    private const string DefaultBehaviour = "react";

    /// <summary>The package made of the files; null when they are of neither kind.</summary>
    public static UploadedPackage? Convert(IReadOnlyDictionary<string, byte[]> files, AgentPackageLimits limits)
    {
        if (PackageUpload.PrefixOf(files.Keys, "config.json") is { } aios && files.Keys.Any(p => p.StartsWith(aios, StringComparison.Ordinal) && p.EndsWith(".py", StringComparison.Ordinal)))
            return Made("aios", files, aios, limits, ConvertAios);
        if (PackageUpload.PrefixOf(files.Keys, "persona.yaml") is { } hairem && files.ContainsKey(hairem + "manifest.yaml"))
            return Made("hairem", files, hairem, limits, ConvertHairem);
        return null;
    }

    private static UploadedPackage Made(string kind, IReadOnlyDictionary<string, byte[]> files, string prefix, AgentPackageLimits limits, Action<Draft> convert)
    {
        var draft = new Draft(files.Where(f => f.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(f => f.Key[prefix.Length..], f => f.Value), prefix);
        var content = new PackageFiles(limits);
        try
        {
            convert(draft);
            draft.TakeAssets(content);
            var yaml = new SerializerBuilder().WithQuotingNecessaryStrings().Build().Serialize(draft.Manifest);
            content.Add(PackageContent.Manifest, Encoding.UTF8.GetBytes($"# Made of a package of {kind} on upload.\n{yaml}"));
        }
        catch (FormatException exception)
        {
            content.Refuse("foreign_unreadable", exception.Message, null);
        }

        draft.NameTheRest();
        return new UploadedPackage(content.ToContent(null), new ImportReport(kind, draft.Taken, draft.NotTaken));
    }

    private static void ConvertAios(Draft draft)
    {
        var config = draft.ReadJson("config.json");
        var meta = config.TryGetProperty("meta", out var m) && m.ValueKind == JsonValueKind.Object ? m : default;
        var build = config.TryGetProperty("build", out var b) && b.ValueKind == JsonValueKind.Object ? b : default;
        var name = Text(config, "name") ?? throw new FormatException("'config.json' has no 'name'. Add it.");
        var description = Lines(config, "description");
        draft.Begin(name, name.Replace('_', ' '), description.Length > 0 ? description : name);
        draft.Manifest["version"] = Version(Text(meta, "version"));
        draft.Optional("author", Text(meta, "author") ?? (draft.Prefix.Split('/', StringSplitOptions.RemoveEmptyEntries) is { Length: > 1 } parts ? parts[^2] : null));
        draft.Optional("license", Text(meta, "license"));
        // In AIOS the description is what the model is told.
        draft.Manifest["systemPrompt"] = description.Length > 0 ? description : $"You are {name}.";
        draft.Take("'description' of config.json became the description and the system prompt");
        var tools = Items(config, "tools").ToList();
        draft.Tools([.. tools.Select(t => t[(t.LastIndexOf('/') + 1)..])]);
        foreach (var tool in tools.Where(t => t.Contains('/')))
            draft.Leave($"The tool '{tool}' of AIOS's hub: a tool named '{ToolName(tool[(tool.LastIndexOf('/') + 1)..])}' is expected here. Add one, or take it out of agent.yaml.");
        draft.Leave($"The loop in '{Text(build, "entry") ?? "entry.py"}' (class {Text(build, "module") ?? "unknown"}): Python is not run. The behaviour '{DefaultBehaviour}' runs the turns; draw another one if the loop was special.");
        if (draft.TakeFile("meta_requirements.txt") is { } requirements)
            draft.Leave($"Python packages of meta_requirements.txt: {Cut(string.Join(", ", requirements.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)))}.");
        draft.Known("config.json", "name", "description", "tools", "meta", "build");
        draft.LeaveMembers(config, "config.json");
    }

    private static void ConvertHairem(Draft draft)
    {
        var manifest = draft.ReadYaml("manifest.yaml");
        var persona = draft.ReadYaml("persona.yaml");
        var id = Text(manifest, "id") ?? Text(manifest, "name") ?? throw new FormatException("'manifest.yaml' has neither 'id' nor 'name'. Add one.");
        var description = Text(persona, "description") ?? Text(manifest, "description") ?? id;
        draft.Begin(id, Text(manifest, "name") ?? Text(persona, "name") ?? id, description);
        draft.Manifest["version"] = Version(Text(manifest, "version"));
        draft.Manifest["type"] = Text(manifest, "type")?.ToLowerInvariant() is { } type && type.StartsWith("entropy", StringComparison.Ordinal) ? "entropy"
            : Text(manifest, "type")?.ToLowerInvariant() == "expert" ? "expert" : "standard";
        draft.Optional("author", Text(manifest, "author"));
        draft.Manifest["systemPrompt"] = Text(persona, "system_prompt") ?? throw new FormatException("'persona.yaml' has no 'system_prompt'. Add it.");
        draft.Take("'system_prompt' of persona.yaml became the system prompt");
        draft.List("capabilities", Items(manifest, "capabilities").Select(Slug).Where(c => c.Length > 0));
        if (persona.TryGetProperty("skills", out var skills) && skills.ValueKind == JsonValueKind.Array)
        {
            draft.Manifest["skills"] = skills.EnumerateArray().Where(s => Text(s, "name") is not null).Take(50)
                .Select(s => new Dictionary<string, object> { ["name"] = Slug(Text(s, "name")!), ["description"] = Cut(Text(s, "description") ?? Text(s, "name")!) }).ToList<object>();
            draft.Take("'skills' of persona.yaml became skills");
        }

        if (manifest.TryGetProperty("llm_config", out var llm) && llm.ValueKind == JsonValueKind.Object)
        {
            if (Text(llm, "model") is { } model)
                draft.Manifest["llm"] = new Dictionary<string, object> { ["model"] = model };
            if (Text(llm, "provider") is not null || Text(llm, "base_url") is not null)
                draft.Leave($"The model server ({Text(llm, "provider") ?? "unknown provider"} at {Text(llm, "base_url") ?? "its usual address"}): servers belong to the pool. Add it with 'conclave servers add' if it is not there.");
        }

        foreach (var dependency in Items(manifest, "dependencies"))
            draft.Leave($"The dependency '{dependency}': name tools and packages under 'dependencies' of agent.yaml.");
        foreach (var python in draft.Paths.Where(p => p.EndsWith(".py", StringComparison.Ordinal)).ToList())
        {
            draft.TakeFile(python);
            draft.Leave($"The tools in '{python}': Python is not run. Write them as {PackageContent.Logic}.");
        }

        draft.Known("manifest.yaml", "id", "name", "version", "type", "description", "author", "capabilities", "dependencies", "llm_config");
        draft.LeaveMembers(manifest, "manifest.yaml");
        draft.Known("persona.yaml", "name", "description", "system_prompt", "skills");
        draft.LeaveMembers(persona, "persona.yaml");
    }

    /// <summary>As <c>agent.schema.json</c> wants names.</summary>
    private static string Slug(string text)
    {
        var slug = NotInNames().Replace(text.ToLowerInvariant(), "-").Trim('-');
        slug = slug.Length > 40 ? slug[..40].TrimEnd('-') : slug;
        return slug.Length > 0 && char.IsAsciiDigit(slug[0]) ? "a-" + slug[..Math.Min(38, slug.Length)].TrimEnd('-') : slug;
    }

    private static string ToolName(string text) => NotInToolNames().Replace(text, "-").Trim('-', '_') is { Length: > 0 } name ? (name.Length > 64 ? name[..64] : name) : "tool";

    /// <summary>Missing numbers are 0; what is no version becomes 0.1.0.</summary>
    private static string Version(string? text)
    {
        var numbers = (text ?? "").TrimStart('v').Split('.');
        return numbers.Length <= 3 && Array.TrueForAll(numbers, n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            ? string.Join('.', numbers.Select(n => int.Parse(n, CultureInfo.InvariantCulture)).Concat([0, 0]).Take(3)) : "0.1.0";
    }

    private static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value)
            ? value.ValueKind switch { JsonValueKind.String => value.GetString() is { } text && text.Trim().Length > 0 ? text.Trim() : null, JsonValueKind.Number => value.GetRawText(), _ => null }
            : null;

    private static IEnumerable<string> Items(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array
            ? value.EnumerateArray().Where(i => i.ValueKind == JsonValueKind.String).Select(i => i.GetString()!).Where(t => t.Trim().Length > 0) : [];

    private static string Lines(JsonElement json, string name) => Text(json, name) ?? string.Join('\n', Items(json, name));

    private static string Cut(string text) => text.Length <= 500 ? text : text[..499] + "…";

    [GeneratedRegex("[^a-z0-9]+", RegexOptions.CultureInvariant)]
    private static partial Regex NotInNames();

    [GeneratedRegex("[^A-Za-z0-9_.-]+", RegexOptions.CultureInvariant)]
    private static partial Regex NotInToolNames();

    /// <summary>A manifest that is being made.</summary>
    private sealed class Draft(Dictionary<string, byte[]> files, string prefix)
    {
        private readonly Dictionary<string, HashSet<string>> _known = [];

        public string Prefix { get; } = prefix;

        public Dictionary<string, object> Manifest { get; } = [];

        public List<string> Taken { get; } = [];

        public List<string> NotTaken { get; } = [];

        public IEnumerable<string> Paths => files.Keys;

        public void Begin(string id, string displayName, string description)
        {
            Manifest["name"] = Slug(id) is { Length: > 0 } name ? name : throw new FormatException($"'{Cut(id)}' cannot become a name. Give the package one with letters.");
            Manifest["version"] = "0.1.0";
            Manifest["type"] = "standard";
            Manifest["displayName"] = displayName.Length > 100 ? displayName[..100] : displayName;
            Manifest["description"] = description.Length > 1000 ? description[..999] + "…" : description;
            Manifest["role"] = Manifest["displayName"];
            Manifest["domain"] = "General";
            Manifest["behaviour"] = new Dictionary<string, object> { ["definition"] = DefaultBehaviour };
        }

        public void Optional(string member, string? text)
        {
            if (text is not null)
                Manifest[member] = text.Length > 100 ? text[..100] : text;
        }

        public void List(string member, IEnumerable<string> items)
        {
            if (items.Distinct().Take(50).ToList() is { Count: > 0 } list)
                Manifest[member] = list;
        }

        public void Tools(IReadOnlyList<string> tools) => List("tools", tools.Select(ToolName));

        public void Take(string what) => Taken.Add(what + ".");

        public void Leave(string what) => NotTaken.Add(what);

        public void Known(string file, params string[] members) => _known[file] = [.. members];

        public void LeaveMembers(JsonElement json, string file)
        {
            foreach (var member in json.EnumerateObject().Where(m => !_known[file].Contains(m.Name)))
                Leave($"'{member.Name}' of {file}: there is no place for it.");
        }

        public string? TakeFile(string path) => files.Remove(path, out var content) ? Encoding.UTF8.GetString(content) : null;

        public JsonElement ReadJson(string path)
        {
            try
            {
                return JsonElement.Parse(TakeFile(path)!) is { ValueKind: JsonValueKind.Object } json ? json : throw new FormatException($"'{path}' must be a JSON object.");
            }
            catch (JsonException exception)
            {
                throw new FormatException($"'{path}' is not JSON: {exception.Message}", exception);
            }
        }

        public JsonElement ReadYaml(string path)
        {
            try
            {
                files.Remove(path, out var content);
                return ManifestYaml.Read(content).Json is { ValueKind: JsonValueKind.Object } json ? json : throw new FormatException($"'{path}' must be a YAML mapping.");
            }
            catch (ManifestYamlException exception)
            {
                throw new FormatException($"'{path}', line {exception.Line}: {exception.Message}", exception);
            }
        }

        /// <summary>Pictures and sounds become assets; README and LICENSE stay what they are.</summary>
        public void TakeAssets(PackageFiles content)
        {
            var assets = new List<object>();
            foreach (var (path, bytes) in files.OrderBy(f => f.Key, StringComparer.Ordinal).ToList())
            {
                var isPlain = path is "README.md" or "LICENSE";
                var type = AssetTypes.Find(path);
                if (!isPlain && (type is null || path.EndsWith(".json", StringComparison.Ordinal) || path.EndsWith(".txt", StringComparison.Ordinal) || !type.Fits(bytes)))
                    continue;
                var to = isPlain ? path : PackageContent.Assets + (path.StartsWith(PackageContent.Assets, StringComparison.Ordinal) ? path[PackageContent.Assets.Length..] : path);
                if (!content.MayRead(to, bytes.Length))
                    continue;
                content.Add(to, bytes);
                files.Remove(path);
                if (isPlain)
                    continue;
                assets.Add(new Dictionary<string, object> { ["path"] = to, ["sha256"] = new PackageFile(to, bytes).Sha256 });
                Take($"'{path}' became the asset '{to}'");
            }

            if (assets.Count > 0)
                Manifest["assets"] = assets;
        }

        public void NameTheRest()
        {
            foreach (var path in files.Keys.Order(StringComparer.Ordinal).Take(50))
                Leave($"The file '{path}'{(path.EndsWith(".py", StringComparison.Ordinal) ? ": Python is not run." : ": a package has no place for it.")}");
        }
    }
}
