using Conclave.Inference.Routing;

namespace Conclave.Inference.Gateway;

/// <summary>Guesses of token counts, for calls that no model has counted yet, or ever will.</summary>
internal static class Tokens
{
    /// <summary>Written by a call that does not say how much it may write: for queues.</summary>
    public const int UsualOutput = 1_024;

    /// <summary>The most that a call may write that does not say how much, where money is counted.</summary>
    public const int MostOutput = 4_096;

    /// <summary>Tokens that a model will read.</summary>
    public static long Read(ChatCall call) => CallNeeds.Of(call).Tokens - (call.Options.MaxOutputTokens ?? 0);

    /// <summary>Tokens of texts to embed.</summary>
    public static long Read(IReadOnlyList<string> texts) => texts.Sum(CallNeeds.TokensOf);
}
