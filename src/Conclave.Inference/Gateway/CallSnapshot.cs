namespace Conclave.Inference.Gateway;

/// <summary>What a call has so far: enough for any server to go on with it.</summary>
/// <param name="Text">The text of the answer so far.</param>
/// <param name="InputTokens">Tokens read by all slices.</param>
/// <param name="OutputTokens">Tokens written by all slices.</param>
/// <param name="Cost">What they cost.</param>
/// <param name="Slices">The slices.</param>
public sealed record CallSnapshot(string Text, long InputTokens, long OutputTokens, decimal Cost, IReadOnlyList<CallSlice> Slices);
