using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

/// <summary>What every provider does, tested against a double that speaks its protocol.</summary>
public abstract class ProviderContract<TDouble> : IAsyncLifetime
    where TDouble : ModelServerDouble, new()
{
    private static readonly JsonElement WeatherSchema = JsonElement.Parse("""{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}""");

    private readonly List<IModelClient> _clients = [];

    protected TDouble Server { get; } = new();

    protected IModelClient Client { get; private set; } = null!;

    protected static ChatMessage[] Hello => [new(ChatRole.User, "hello there")];

    protected static AIFunctionDeclaration Weather { get; } = AIFunctionFactory.CreateDeclaration("weather", "Tells the weather.", WeatherSchema);

    protected abstract IModelProvider CreateProvider(TimeProvider time);

    /// <summary>How many chunks of text the double's answer to <see cref="Hello"/> has.</summary>
    protected static int HelloTokens => 4;

    public async Task InitializeAsync()
    {
        await Server.StartAsync();
        Client = Connect();
    }

    public async Task DisposeAsync()
    {
        _clients.ForEach(c => c.Dispose());
        await Server.DisposeAsync();
    }

    protected IModelClient Connect(string? key = null, TimeProvider? clock = null)
    {
        var provider = CreateProvider(clock ?? TimeProvider.System);
        var client = provider.Connect(new ModelServer { Id = "s1", Name = "double", Provider = provider.Name, Address = Server.Address }, key);
        _clients.Add(client);
        return client;
    }

    protected static ChatOptions Options(string model = "small") => new() { ModelId = model, MaxOutputTokens = 500 };

    protected static async Task<List<ChatResponseUpdate>> StreamAsync(IModelClient client, IEnumerable<ChatMessage> messages, ChatOptions options, CancellationToken cancellationToken = default)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in client.Chat.GetStreamingResponseAsync(messages, options, cancellationToken))
            updates.Add(update);
        return updates;
    }

    protected static void AssertJson(string expected, string actual) =>
        Assert.Equal(Same.Canonical(JsonElement.Parse(expected)), Same.Canonical(JsonElement.Parse(actual)));

    protected Task<ModelServerException> FailAsync(ChatOptions? options = null, IModelClient? client = null) =>
        Assert.ThrowsAsync<ModelServerException>(() => StreamAsync(client ?? Client, Hello, options ?? Options()));

    [Fact]
    public async Task Chat_Question_AnswersWithUsageAndFinish()
    {
        var response = await Client.Chat.GetResponseAsync(Hello, Options());

        Assert.Equal("You said: hello there", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(11, response.Usage!.InputTokenCount);
        Assert.Equal(HelloTokens, response.Usage.OutputTokenCount);
        Assert.Equal("small", response.ModelId);
        Assert.Single(response.Messages);
    }

    [Fact]
    public async Task Chat_Streamed_HandsOnEachTokenBeforeTheNextIsMade()
    {
        // The double waits for the first token to have arrived here before it says the second.
        var arrived = new TaskCompletionSource();
        Server.Answer = request => DoubleAnswer.For(request) with { BeforeToken = token => token == 1 ? arrived.Task : Task.CompletedTask };
        var text = "";
        await foreach (var update in Client.Chat.GetStreamingResponseAsync(Hello, Options()))
        {
            text += update.Text;
            if (text.Length > 0)
                arrived.TrySetResult();
        }

        Assert.Equal("You said: hello there", text);
    }

    [Fact]
    public async Task Chat_SecondCall_UsesTheSameConnection()
    {
        for (var i = 0; i < 3; i++)
            await StreamAsync(Client, Hello, Options());

        Assert.Single(Server.Requests.Where(r => r.IsChat).Select(r => r.Connection).Distinct());
    }

    [Fact]
    public async Task Chat_Tools_AssemblesTheCallAndTakesItsResult()
    {
        var options = Options();
        options.Tools = [Weather];
        List<ChatMessage> messages = [.. Hello];

        var first = await Client.Chat.GetResponseAsync(messages, options);

        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        var call = Assert.Single(first.Messages[0].Contents.OfType<FunctionCallContent>());
        Assert.Equal("weather", call.Name);
        Assert.Equal("text", ((JsonElement)call.Arguments!["city"]!).GetString());
        Assert.Equal(42, ((JsonElement)call.Arguments["days"]!).GetInt32());
        Assert.NotEmpty(call.CallId);

        messages.AddRange(first.Messages);
        messages.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent(call.CallId, "sunny, 21 °C")]));
        var second = await Client.Chat.GetResponseAsync(messages, options);

        Assert.Equal("You said: sunny, 21 °C", second.Text);
    }

    [Fact]
    public async Task Chat_Reasoning_IsApartFromTheText()
    {
        Server.Answer = _ => DoubleAnswer.Say("four") with { Thinking = "two and two" };

        var response = await Client.Chat.GetResponseAsync(Hello, Options());

        Assert.Equal("four", response.Text);
        Assert.Equal("two and two", string.Concat(response.Messages[0].Contents.OfType<TextReasoningContent>().Select(c => c.Text)));
    }

    [Fact]
    public async Task Chat_LengthReached_SaysSo()
    {
        Server.Answer = _ => DoubleAnswer.Say("one two") with { FinishReason = "length" };

        Assert.Equal(ChatFinishReason.Length, (await Client.Chat.GetResponseAsync(Hello, Options())).FinishReason);
    }

    [Theory]
    [InlineData(401, "authentication_error", "bad key", ModelServerFailure.Unauthorized)]
    [InlineData(403, "permission_error", "not yours", ModelServerFailure.Unauthorized)]
    [InlineData(404, "not_found_error", "model 'small' not found", ModelServerFailure.ModelNotFound)]
    [InlineData(400, "invalid_request_error", "temperature: must be a number", ModelServerFailure.BadRequest)]
    [InlineData(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens.", ModelServerFailure.ContextTooLong)]
    [InlineData(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ModelServerFailure.ContextTooLong)]
    [InlineData(500, "exceed_context_size_error", "the request exceeds the available context size, try increasing it", ModelServerFailure.ContextTooLong)]
    [InlineData(400, "content_filter", "The prompt was filtered (content_filter).", ModelServerFailure.Refused)]
    [InlineData(429, "rate_limit_error", "slow down", ModelServerFailure.Overloaded)]
    [InlineData(429, "insufficient_quota", "You exceeded your current quota.", ModelServerFailure.Unauthorized)]
    [InlineData(500, "server_error", "boom", ModelServerFailure.ServerError)]
    [InlineData(503, "server_error", "server busy", ModelServerFailure.Overloaded)]
    [InlineData(529, "overloaded_error", "Overloaded", ModelServerFailure.Overloaded)]
    public async Task Chat_ServerAnswersError_FailsWithItsKind(int status, string type, string message, ModelServerFailure expected)
    {
        Server.Answer = _ => DoubleAnswer.Fail(status, type, message, TimeSpan.FromSeconds(7));

        var failure = await FailAsync();

        Assert.Equal(expected, failure.Failure);
        Assert.Equal(status, failure.Status);
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
        Assert.Equal(expected == ModelServerFailure.Overloaded ? TimeSpan.FromSeconds(7) : null, failure.RetryAfter);
    }

    [Theory]
    [InlineData(DoubleFailure.Close, ModelServerFailure.Cut)]
    [InlineData(DoubleFailure.Garbage, ModelServerFailure.InvalidAnswer)]
    [InlineData(DoubleFailure.DieMidStream, ModelServerFailure.Cut)]
    [InlineData(DoubleFailure.EndMidStream, ModelServerFailure.Cut)]
    [InlineData(DoubleFailure.ErrorMidStream, ModelServerFailure.ServerError)]
    [InlineData(DoubleFailure.GarbageMidStream, ModelServerFailure.InvalidAnswer)]
    public async Task Chat_ServerBreaks_FailsWithItsKind(DoubleFailure how, ModelServerFailure expected)
    {
        Server.Answer = _ => DoubleAnswer.Fail(how);

        var failure = await FailAsync();

        Assert.Equal(expected, failure.Failure);
        Assert.True(failure.MayPassElsewhere);
        Assert.True(failure.IsServersFault);
    }

    [Fact]
    public async Task Chat_ServerDiesInTheMiddle_KeepsWhatCameBefore()
    {
        // Only once they are here: what is under way when a connection is torn is lost.
        var arrived = new TaskCompletionSource();
        Server.Answer = _ => DoubleAnswer.Fail(DoubleFailure.DieMidStream, after: 3) with { BeforeToken = token => token == 3 ? arrived.Task : Task.CompletedTask };
        var text = "";
        await Assert.ThrowsAsync<ModelServerException>(async () =>
        {
            await foreach (var update in Client.Chat.GetStreamingResponseAsync(Hello, Options()))
            {
                text += update.Text;
                if (text.EndsWith("three ", StringComparison.Ordinal))
                    arrived.SetResult();
            }
        });

        Assert.Equal("one two three ", text);
    }

    [Theory]
    [InlineData(DoubleFailure.Hang)]
    [InlineData(DoubleFailure.HangMidStream)]
    public async Task Chat_ServerIsSilent_TimesOutAndEndsTheRequest(DoubleFailure how)
    {
        Server.Answer = _ => DoubleAnswer.Fail(how);
        var clock = new ManualClock();
        var client = Connect(clock: clock);

        var failing = FailAsync(client: client);
        await Server.WaitForChatAsync();
        while (!failing.IsCompleted)
        {
            // Silence is counted from when the client begins to wait, which a test cannot see.
            clock.Advance(TimeSpan.FromMinutes(2));
            await Task.Yield();
        }

        Assert.Equal(ModelServerFailure.Timeout, (await failing).Failure);
        await Server.WaitForAbortAsync();
    }

    [Fact]
    public async Task Chat_NobodyListens_IsUnreachable()
    {
        var client = Connect();
        await Server.DisposeAsync();

        Assert.Equal(ModelServerFailure.Unreachable, (await FailAsync(client: client)).Failure);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Chat_CallerGivesUp_EndsTheRequestOnTheServer(bool byToken)
    {
        using var stop = new CancellationTokenSource();
        ChatMessage[] slow = [new(ChatRole.User, "be slow")];
        var seen = 0;

        async Task ReadAsync()
        {
            await foreach (var _ in Client.Chat.GetStreamingResponseAsync(slow, Options(), stop.Token))
            {
                if (++seen < 3)
                    continue;
                if (!byToken)
                    return;
                await stop.CancelAsync();
            }
        }

        if (byToken)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(ReadAsync);
        else
            await ReadAsync();

        await Server.WaitForAbortAsync();
        Assert.Equal(1, Server.Aborted);
    }

    [Fact]
    public async Task Chat_WrongKey_FailsWithoutRepeatingIt()
    {
        Server.ApiKey = "right-key-0123456789";
        var wrong = Connect("wrong-key-0123456789");
        var right = Connect("right-key-0123456789");

        var failure = await FailAsync(client: wrong);

        Assert.Equal(ModelServerFailure.Unauthorized, failure.Failure);
        Assert.DoesNotContain("wrong-key-0123456789", failure.ToString(), StringComparison.Ordinal);
        Assert.NotEmpty(await StreamAsync(right, Hello, Options()));
    }

    [Theory]
    [InlineData("http://169.254.169.254")]
    [InlineData("http://[fd00:ec2::254]")]
    [InlineData("http://[::ffff:169.254.169.254]")]
    [InlineData("http://user:secret@localhost")]
    [InlineData("ftp://localhost")]
    [InlineData("http://localhost/?key=secret")]
    public void Connect_AddressThatNoModelServerHas_Refuses(string address)
    {
        var server = new ModelServer { Id = "s1", Name = "double", Provider = "any", Address = new Uri(address) };

        var failure = Assert.Throws<ModelServerException>(() => CreateProvider(TimeProvider.System).Connect(server, null));

        Assert.Equal(ModelServerFailure.BadRequest, failure.Failure);
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
    }
}
