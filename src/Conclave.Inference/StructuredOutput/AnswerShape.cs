using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.StructuredOutput;

/// <summary>How a model is brought to write JSON under a schema: by itself, by a tool whose arguments are the answer, or by being told.</summary>
internal abstract class AnswerShape
{
    private const string ToolName = "answer";

    /// <summary>The model writes what is wanted, or nothing special is.</summary>
    public static AnswerShape AsItIs { get; } = new Native();

    /// <summary>The best way that a model has.</summary>
    public static AnswerShape For(ChatOptions options, ServedModel model)
    {
        if (options.ResponseFormat is not ChatResponseFormatJson { Schema: { } schema } format)
            return AsItIs;
        // What is not known is worth a try: most servers have it by now, and the answer is checked.
        if (model.Capabilities is not { } can || can.HasFlag(ModelCapabilities.JsonSchema))
            return AsItIs;
        return can.HasFlag(ModelCapabilities.Tools) && options.Tools is not { Count: > 0 } && IsObject(schema) ? new ByTool(schema, format) : new ByText(schema);
    }

    /// <summary>The conversation as it is sent.</summary>
    public abstract IReadOnlyList<ChatMessage> Prepare(IReadOnlyList<ChatMessage> messages);

    /// <summary>The options as they are sent.</summary>
    public abstract ChatOptions Prepare(ChatOptions options);

    /// <summary>Turns an update into one of the answer that was asked for; false for one that is held back.</summary>
    public abstract bool Apply(ChatResponseUpdate update);

    private static bool IsObject(JsonElement schema) =>
        schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object");

    private sealed class Native : AnswerShape
    {
        public override IReadOnlyList<ChatMessage> Prepare(IReadOnlyList<ChatMessage> messages) => messages;

        public override ChatOptions Prepare(ChatOptions options) => options;

        public override bool Apply(ChatResponseUpdate update) => true;
    }

    private sealed class ByTool(JsonElement schema, ChatResponseFormatJson format) : AnswerShape
    {
        private readonly StringBuilder _text = new();
        private bool _hasCalled;

        public override IReadOnlyList<ChatMessage> Prepare(IReadOnlyList<ChatMessage> messages) => messages;

        public override ChatOptions Prepare(ChatOptions options)
        {
            options.ResponseFormat = null;
            options.Tools = [new ToolDeclaration(ToolName, format.SchemaDescription ?? "Takes the answer. Call it once, with the whole answer as its arguments.", schema)];
            options.ToolMode = ChatToolMode.RequireSpecific(ToolName);
            return options;
        }

        public override bool Apply(ChatResponseUpdate update)
        {
            // What it says beside the call is not the answer, unless it calls nothing.
            foreach (var text in update.Contents.OfType<TextContent>().ToList())
            {
                _text.Append(text.Text);
                update.Contents.Remove(text);
            }

            for (var i = update.Contents.Count - 1; i >= 0; i--)
            {
                if (update.Contents[i] is not FunctionCallContent { Name: ToolName } call)
                    continue;
                _hasCalled = true;
                update.Contents[i] = new TextContent(JsonSerializer.Serialize(call.Arguments, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, object?>))));
            }

            if (update.FinishReason is not null && !_hasCalled)
                update.Contents.Insert(0, new TextContent(JsonInText.Find(_text.ToString())));
            if (update.FinishReason == ChatFinishReason.ToolCalls)
                update.FinishReason = ChatFinishReason.Stop;
            return update.Contents.Count > 0 || update.FinishReason is not null;
        }
    }

    private sealed class ByText(JsonElement schema) : AnswerShape
    {
        private readonly StringBuilder _text = new();

        public override IReadOnlyList<ChatMessage> Prepare(IReadOnlyList<ChatMessage> messages) =>
            [new ChatMessage(ChatRole.System, $"Answer with JSON that fits this JSON Schema, and with nothing else: no words before or after it, no code fence.\n{schema.GetRawText()}"), .. messages];

        public override ChatOptions Prepare(ChatOptions options)
        {
            options.ResponseFormat = null;
            return options;
        }

        public override bool Apply(ChatResponseUpdate update)
        {
            foreach (var text in update.Contents.OfType<TextContent>().ToList())
            {
                _text.Append(text.Text);
                update.Contents.Remove(text);
            }

            if (update.FinishReason is not null)
                update.Contents.Insert(0, new TextContent(JsonInText.Find(_text.ToString())));
            return update.Contents.Count > 0 || update.FinishReason is not null;
        }
    }
}
