namespace Conclave.Inference.Gateway;

/// <summary>What calls cost.</summary>
internal static class Price
{
    private const decimal Million = 1_000_000m;

    /// <summary>The price of tokens, in the currency of the prices.</summary>
    public static decimal Of(ServedModel model, long inputTokens, long outputTokens) =>
        ((inputTokens * (model.InputPrice ?? 0)) + (outputTokens * (model.OutputPrice ?? 0))) / Million;
}
