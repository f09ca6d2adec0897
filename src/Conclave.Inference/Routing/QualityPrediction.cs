using System.Globalization;

namespace Conclave.Inference.Routing;

/// <summary>What a model would probably do with a call.</summary>
/// <param name="Model">The model.</param>
/// <param name="Quality">How good its answer would be, 0 to 1.</param>
/// <param name="OutputTokens">How long it would be.</param>
/// <param name="Cost">What it would cost.</param>
/// <param name="Neighbours">Rated calls that this is concluded from.</param>
/// <remarks>
/// <para>The 20 rated calls of the tenant that are most similar (cosine of <see cref="TextFeatures"/> of the user's last message, at least 0.2) are the neighbours. Quality
/// is the mean of the ratings that the model got for them, weighted by similarity, together with one imagined rating: the model's mean over all its ratings and 5 imagined ones of 0.5, so that few ratings promise little. Length is the
/// mean length of its answers to them, or 400 tokens. Cost is tokens read × their price + length × its price.</para>
/// <para>Of the models whose quality is no more than the rule's tolerance below the best one, the cheapest comes first, then better ones; the others follow by quality.
/// AIOS's SmartRouting does the same with embeddings and optimises over a batch; here every call is decided by itself, so that none waits for others.</para>
/// </remarks>
internal sealed record QualityPrediction(string Model, double Quality, double OutputTokens, double Cost, int Neighbours)
{
    private const int MostNeighbours = 20;
    private const double LeastSimilarity = 0.2;
    private const double UsualTokens = 400;
    private const double UsualQuality = 0.5;
    private const double Doubt = 5;

    /// <summary>Predicts for several models.</summary>
    /// <param name="features">What the call is about.</param>
    /// <param name="inputTokens">Its length.</param>
    /// <param name="models">The models and what a million of their tokens cost, read and written.</param>
    /// <param name="rated">Rated calls.</param>
    /// <param name="tolerance">By how much quality may be below the best.</param>
    /// <returns>The best choice first.</returns>
    public static IReadOnlyList<QualityPrediction> Order(
        sbyte[] features, long inputTokens, IReadOnlyList<(string Name, decimal InputPrice, decimal OutputPrice)> models, IReadOnlyCollection<RatedCall> rated, double tolerance)
    {
        var neighbours = rated
            .Select(call => (Call: call, Similarity: TextFeatures.Similarity(features, call.Features)))
            .Where(n => n.Similarity >= LeastSimilarity)
            .OrderByDescending(n => n.Similarity)
            .Take(MostNeighbours)
            .ToList();
        var predictions = models.Select(model =>
        {
            var own = neighbours.Where(n => n.Call.Model == model.Name).ToList();
            var all = rated.Where(r => r.Model == model.Name).Select(r => r.Rating).ToList();
            var usual = (all.Sum() + (UsualQuality * Doubt)) / (all.Count + Doubt);
            var quality = (own.Sum(n => n.Similarity * n.Call.Rating) + usual) / (own.Sum(n => n.Similarity) + 1);
            var tokens = own.Count == 0 ? UsualTokens : own.Average(n => n.Call.OutputTokens);
            var cost = ((inputTokens * (double)model.InputPrice) + (tokens * (double)model.OutputPrice)) / 1_000_000;
            return new QualityPrediction(model.Name, quality, tokens, cost, own.Count);
        }).ToList();
        var best = predictions.Count == 0 ? 0 : predictions.Max(p => p.Quality);
        return
        [
            .. predictions
                .OrderBy(p => p.Quality < best - tolerance)
                .ThenBy(p => p.Quality < best - tolerance ? 0 : p.Cost)
                .ThenByDescending(p => p.Quality),
        ];
    }

    /// <summary>The prediction in a sentence.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Model} would probably reach a quality of {Quality:0.00} ({Neighbours} similar rated calls) with {OutputTokens:0} tokens for {Cost:0.######}.");
}
