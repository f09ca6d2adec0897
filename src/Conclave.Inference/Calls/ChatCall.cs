using Microsoft.Extensions.AI;

namespace Conclave.Inference;

/// <summary>A question to a model.</summary>
/// <param name="Context">Who asks, and what the call may do.</param>
/// <param name="Model">An alias, a model's name, or <c>server/model</c>.</param>
/// <param name="Messages">The conversation, oldest first.</param>
/// <param name="Options">
/// Tools, response format, temperature and so on; its <see cref="ChatOptions.ModelId"/> is not read. What has no property of its own (<c>logprobs</c>,
/// <c>logit_bias</c>, <c>think</c>, <c>keep_alive</c>, <c>num_ctx</c> …) is in <see cref="ChatOptions.AdditionalProperties"/> under its name on the wire, as
/// <see cref="System.Text.Json.JsonElement"/>. Tools are declarations (<see cref="AIFunctionDeclaration"/>); nobody here invokes them.
/// </param>
public sealed record ChatCall(CallContext Context, string Model, IReadOnlyList<ChatMessage> Messages, ChatOptions Options);

/// <summary>Texts to embed.</summary>
/// <param name="Context">Who asks, and what the call may do.</param>
/// <param name="Model">An alias, a model's name, or <c>server/model</c>.</param>
/// <param name="Texts">The texts.</param>
/// <param name="Dimensions">Length of the vectors, for models that offer several; null for the model's own.</param>
public sealed record EmbedCall(CallContext Context, string Model, IReadOnlyList<string> Texts, int? Dimensions = null);
