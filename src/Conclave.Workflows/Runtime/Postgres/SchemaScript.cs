using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>One step of the tables: <c>Scripts/0007_add_tenant.sql</c> is version 7, named <c>add_tenant</c>.</summary>
/// <remarks>
/// It runs in a transaction of its own, so it holds no <c>begin</c> or <c>commit</c> and nothing that refuses to run in
/// one (<c>create index concurrently</c>). Once released it never changes; a correction is a further script.
/// </remarks>
internal sealed partial record SchemaScript(int Version, string Name, string Sql)
{
    private const string Folder = "Runtime/Postgres/Scripts/";

    /// <summary>SHA-256 of the text as lower-case hexadecimal, whichever line ends a checkout gave it.</summary>
    public string Checksum { get; } = Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes(Sql.ReplaceLineEndings("\n").Trim())));

    /// <summary>The scripts of this assembly in order: 1, 2, 3 and so on, without a gap.</summary>
    public static IReadOnlyList<SchemaScript> LoadAll()
    {
        var assembly = typeof(SchemaScript).Assembly;
        var scripts = assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
            .Select(name =>
            {
                var match = NamePattern().Match(name[Folder.Length..]);
                if (!match.Success) throw new InvalidOperationException($"'{name}' is not named like 0001_words_of_it.sql.");
                using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
                var version = int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
                return new SchemaScript(version, match.Groups[2].Value, reader.ReadToEnd());
            })
            .OrderBy(script => script.Version).ToList();
        for (var i = 0; i < scripts.Count; i++)
        {
            if (scripts[i].Version == i + 1) continue;
            throw new InvalidOperationException(
                $"Migration script {i + 1:D4} is missing or there twice: " +
                $"{string.Join(", ", scripts.Select(s => $"{s.Version:D4}_{s.Name}"))}.");
        }
        return scripts;
    }

    [GeneratedRegex(@"^(\d{4})_([a-z0-9_]+)\.sql$")]
    private static partial Regex NamePattern();
}
