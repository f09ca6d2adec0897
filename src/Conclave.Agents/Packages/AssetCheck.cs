namespace Conclave.Agents.Packages;

/// <summary>Holds the files below <c>assets/</c> against what the manifest says of them.</summary>
internal static class AssetCheck
{
    public static void Find(PackageContent content, AgentManifest manifest, List<PackageProblem> problems)
    {
        var declared = new Dictionary<string, AssetReference>(StringComparer.Ordinal);
        foreach (var asset in manifest.Assets)
        {
            if (!declared.TryAdd(asset.Path, asset))
                Add("duplicate_asset", $"'{asset.Path}' is declared twice in {PackageContent.Manifest}. Leave one of them.", PackageContent.Manifest);
            else if (content.Find(asset.Path) is null && !content.Problems.Any(p => p.File == asset.Path))
                Add("missing_asset", $"{PackageContent.Manifest} declares '{asset.Path}', which is not there. Add the file, or take the entry out.", PackageContent.Manifest);
        }

        foreach (var file in content.Files.Where(f => f.Path.StartsWith(PackageContent.Assets, StringComparison.Ordinal)))
        {
            if (!declared.TryGetValue(file.Path, out var asset))
                Add("undeclared_asset", $"{PackageContent.Manifest} does not declare the file. Add to 'assets': {{path: {file.Path}, sha256: {file.Sha256}}}.", file.Path);
            else if (asset.Sha256 != file.Sha256)
                Add("wrong_hash", $"The file is not the one that {PackageContent.Manifest} declares: its SHA-256 is {file.Sha256}. Restore the file, or change the entry.", file.Path);
            else if (AssetTypes.Find(file.Path) is { } type && !type.Fits(file.Content.Span))
                Add("wrong_type", $"The file is not {type.MediaType}, as its name says, or has something active in it. Replace it.", file.Path);
        }

        void Add(string code, string message, string file) => problems.Add(new PackageProblem(PackageStage.Assets, $"agent_package.{code}", message, file));
    }
}
