using System.Text;
using Conclave.Agents.Packages;

namespace Conclave.Tests.Agents.Packages;

/// <summary>A package in the memory of a test.</summary>
internal sealed class PackageBuilder
{
    public const string Name = "helper";

    /// <summary>The least that a manifest may say.</summary>
    public const string Manifest = """
        name: helper
        version: 1.0.0
        type: standard
        displayName: Helper
        description: Helps.
        role: Helper
        domain: Everything
        systemPrompt: You help.
        behaviour: {definition: react}
        """;

    public const string Logic = """
        exports.tools = [{
          name: 'double',
          description: 'Doubles a number.',
          parameters: { type: 'object', properties: { value: { type: 'number' } }, required: ['value'] },
          readOnly: true,
          run(args, ctx) { return { doubled: args.value * 2 }; },
        }];
        """;

    private readonly SortedDictionary<string, byte[]> _files = new(StringComparer.Ordinal);

    public PackageBuilder() => With(PackageContent.Manifest, Manifest);

    public PackageBuilder With(string path, string text) => With(path, Encoding.UTF8.GetBytes(text));

    public PackageBuilder With(string path, byte[] content)
    {
        _files[path] = content;
        return this;
    }

    public PackageBuilder Without(string path)
    {
        _files.Remove(path);
        return this;
    }

    /// <summary>More lines of the manifest.</summary>
    public PackageBuilder Saying(string yaml) => With(PackageContent.Manifest, $"{Encoding.UTF8.GetString(_files[PackageContent.Manifest])}\n{yaml}\n");

    public PackageContent Build(string? name = Name)
    {
        var files = new PackageFiles(AgentPackageLimits.Default);
        foreach (var (path, content) in _files)
        {
            if (files.MayRead(path, content.Length))
                files.Add(path, content);
        }

        return files.ToContent(name);
    }

    /// <summary>Writes the package as a folder.</summary>
    public void Write(string folder)
    {
        foreach (var (path, content) in _files)
        {
            var file = Path.Combine(folder, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, content);
        }
    }
}
