using System.Globalization;
using System.Text.RegularExpressions;
using Conclave.Inference.Pool;

namespace Conclave.Inference.Routing;

/// <summary>Aliases that there are before anybody makes some: <c>fast</c>, <c>smart</c>, <c>code</c>, <c>local-only</c>, <c>embed</c>, made from the models that there are.</summary>
/// <remarks>
/// A model's strength is its number of parameters in thousand millions, as the server or its name says; for models with a price and no such number it is 10 and 10 more for
/// each unit of currency that a million tokens written cost; else 8. <c>fast</c> prefers strengths up to 9, <c>smart</c> those from half of the greatest one.
/// </remarks>
internal static partial class DefaultAliases
{
    private const double UnknownStrength = 8;
    private const double LargestFast = 9;

    /// <summary>The aliases for the models that a tenant may use; those that no model would answer are left out.</summary>
    public static IReadOnlyList<ModelAlias> Of(IEnumerable<PooledServer> servers, string tenant)
    {
        var models = servers
            .Where(s => s.Server.Tenant is null || s.Server.Tenant == tenant)
            .SelectMany(s => s.Models)
            .GroupBy(m => m.Name, StringComparer.Ordinal)
            .Select(g => g.First())
            .OrderBy(Strength).ThenBy(m => m.Name, StringComparer.Ordinal)
            .ToList();
        var chats = models.Where(m => Can(m, ModelCapabilities.Chat)).ToList();
        var aliases = new List<ModelAlias>();
        if (chats.Count > 0)
        {
            var greatest = Strength(chats[^1]);
            var small = chats.Where(m => Strength(m) <= LargestFast).ToList();
            if (small.Count == 0)
                small = [chats[0]];
            var strong = chats.Where(m => Strength(m) >= greatest / 2).ToList();
            var coders = chats.Where(m => CodePattern().IsMatch(m.Name)).ToList();
            aliases.Add(New("fast", "The small models: quick answers to simple questions.", false, small, chats.Except(small)));
            aliases.Add(New("smart", "The strongest models.", false, strong, chats.Except(strong).Reverse()));
            aliases.Add(New("code", "Models made for code, else the strongest ones.", false, coders, strong.Except(coders), chats.Except(coders).Except(strong).Reverse()));
            aliases.Add(New("local-only", "Whatever model there is in the house; nothing leaves it.", true, chats));
        }

        // Vectors of different models cannot be compared: one model, on however many servers.
        if (models.FirstOrDefault(m => Can(m, ModelCapabilities.Embeddings)) is { } embedder)
            aliases.Add(New("embed", "The model for embeddings.", false, [embedder]));
        return aliases;
    }

    /// <summary>Whether a model can do something; where that is not known, its name tells whether it embeds or answers.</summary>
    public static bool Can(ServedModel model, ModelCapabilities capability) => model.Capabilities is { } known
        ? known.HasFlag(capability)
        : EmbedPattern().IsMatch(model.Name) == (capability == ModelCapabilities.Embeddings);

    /// <summary>How strong a model probably is.</summary>
    public static double Strength(ServedModel model)
    {
        var size = SizePattern().Match(model.ParameterSize ?? model.Name);
        if (!size.Success)
            return model.OutputPrice is { } price ? 10 + (10 * (double)price) : UnknownStrength;
        var number = double.Parse(size.Groups["number"].ValueSpan, CultureInfo.InvariantCulture);
        var experts = size.Groups["experts"].Success ? double.Parse(size.Groups["experts"].ValueSpan, CultureInfo.InvariantCulture) : 1;
        return experts * number * (size.Groups["unit"].ValueSpan is "m" or "M" ? 0.001 : 1);
    }

    private static ModelAlias New(string name, string description, bool keepLocal, params IEnumerable<ServedModel>[] tiers) => new()
    {
        Name = name,
        Description = description,
        Rules =
        [
            new RoutingRule
            {
                Name = "default",
                KeepLocal = keepLocal,
                Targets = [.. tiers.Select(t => t.Select(m => m.Name).ToList()).Where(t => t.Count > 0).Select(t => new RuleTier { Models = t })],
            },
        ],
    };

    [GeneratedRegex(@"(?<![A-Za-z0-9.])(?:(?<experts>\d{1,2})x)?(?<number>\d{1,4}(?:\.\d{1,3})?)(?<unit>[bBmM])(?![A-Za-z0-9])")]
    private static partial Regex SizePattern();

    [GeneratedRegex("code|devstral|starcoder", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex CodePattern();

    [GeneratedRegex(@"embed|(^|[/_-])(bge|gte|e5|minilm)([-_.:]|$)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex EmbedPattern();
}
