using Microsoft.Extensions.AI;

namespace Conclave.Inference.Routing;

/// <summary>What a call needs of a model.</summary>
/// <param name="Capabilities">What it must be able to do.</param>
/// <param name="Tokens">Tokens that it must take, answer included; an estimate.</param>
public sealed record CallNeeds(ModelCapabilities Capabilities, long Tokens)
{
    /// <summary>Tokens of a picture where nothing is known about its size, as OpenAI counts a large one.</summary>
    private const int PictureTokens = 1_100;

    /// <summary>Tokens of a message around its text.</summary>
    private const int MessageTokens = 4;

    /// <summary>What a question needs.</summary>
    public static CallNeeds Of(ChatCall call)
    {
        var capabilities = ModelCapabilities.Chat;
        var tokens = 0L;
        foreach (var message in call.Messages)
        {
            tokens += MessageTokens;
            foreach (var content in message.Contents)
            {
                switch (content)
                {
                    case TextContent text:
                        tokens += TokensOf(text.Text);
                        break;
                    case DataContent data when data.HasTopLevelMediaType("image"):
                    case UriContent uri when uri.HasTopLevelMediaType("image"):
                        capabilities |= ModelCapabilities.Vision;
                        tokens += PictureTokens;
                        break;
                    case FunctionResultContent result:
                        tokens += TokensOf(result.Result?.ToString());
                        break;
                    case FunctionCallContent request:
                        tokens += TokensOf(request.Name) + (request.Arguments?.Sum(a => TokensOf(a.Key) + TokensOf(a.Value?.ToString())) ?? 0);
                        break;
                }
            }
        }

        if (call.Options.Tools is { Count: > 0 } tools && call.Options.ToolMode is not NoneChatToolMode)
        {
            capabilities |= ModelCapabilities.Tools;
            foreach (var tool in tools)
                tokens += TokensOf(tool.Name) + TokensOf(tool.Description) + TokensOf((tool as AIFunctionDeclaration)?.JsonSchema.ToString());
        }

        return new CallNeeds(capabilities, tokens + (call.Options.MaxOutputTokens ?? 0));
    }

    /// <summary>What texts to embed need: each is taken by itself.</summary>
    public static CallNeeds Of(EmbedCall call) =>
        new(ModelCapabilities.Embeddings, call.Texts.Count == 0 ? 0 : call.Texts.Max(TokensOf));

    /// <summary>About how many tokens a text has: a quarter of its bytes in UTF-8, which is close for English and not too low for other scripts.</summary>
    public static long TokensOf(string? text) => text is null ? 0 : (System.Text.Encoding.UTF8.GetByteCount(text) + 3) / 4;
}
