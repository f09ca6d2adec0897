using System.IO.Enumeration;

namespace Conclave.Inference.Pool;

/// <summary>What a server says about its models, together with what operators say.</summary>
internal static class MergedModels
{
    /// <summary>Merges both; what operators say wins. A name with <c>*</c> is about every model that it fits.</summary>
    public static IReadOnlyList<ServedModel> Of(IReadOnlyList<ServedModel> listed, IReadOnlyList<ServedModel> given)
    {
        if (given.Count == 0)
            return listed;
        var added = given.Where(g => !g.Name.Contains('*', StringComparison.Ordinal) && listed.All(l => !IsSame(l.Name, g.Name)));
        return [.. listed.Concat(added).Select(model => given
            .Where(g => Fits(g.Name, model.Name))
            // An exact name knows better than a pattern.
            .OrderBy(g => IsSame(g.Name, model.Name))
            .Aggregate(model, Merge))];
    }

    /// <summary>The model of a name; one without a tag also means <c>latest</c>.</summary>
    public static ServedModel? Find(IReadOnlyList<ServedModel> models, string name)
    {
        foreach (var model in models)
        {
            if (model.Name == name)
                return model;
        }

        foreach (var model in models)
        {
            if (IsSame(model.Name, name))
                return model;
        }

        return null;
    }

    /// <summary>Whether a pattern, or a name, means a model.</summary>
    public static bool Fits(string pattern, string name) =>
        pattern.Contains('*', StringComparison.Ordinal) ? FileSystemName.MatchesSimpleExpression(pattern, name) : IsSame(pattern, name);

    /// <summary>Whether two names mean the same model: Ollama leaves <c>:latest</c> out, and does not tell upper case from lower.</summary>
    public static bool IsSame(string some, string other) =>
        WithoutLatest(some).Equals(WithoutLatest(other), StringComparison.OrdinalIgnoreCase);

    private static ReadOnlySpan<char> WithoutLatest(string name) =>
        name.EndsWith(":latest", StringComparison.OrdinalIgnoreCase) ? name.AsSpan(0, name.Length - ":latest".Length) : name;

    private static ServedModel Merge(ServedModel model, ServedModel given) => model with
    {
        Capabilities = given.Capabilities ?? model.Capabilities,
        ContextSize = given.ContextSize ?? model.ContextSize,
        IsLoaded = given.IsLoaded ?? model.IsLoaded,
        InputPrice = given.InputPrice ?? model.InputPrice,
        OutputPrice = given.OutputPrice ?? model.OutputPrice,
        SizeBytes = given.SizeBytes ?? model.SizeBytes,
        Digest = given.Digest ?? model.Digest,
        ParameterSize = given.ParameterSize ?? model.ParameterSize,
        Quantization = given.Quantization ?? model.Quantization,
        Family = given.Family ?? model.Family,
        ModifiedAt = given.ModifiedAt ?? model.ModifiedAt,
    };
}
