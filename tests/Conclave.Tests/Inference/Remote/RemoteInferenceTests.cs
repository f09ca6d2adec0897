using Conclave.Inference;
using Conclave.Inference.Remote;
using Conclave.Tests.Inference.Doubles;
using Conclave.Tests.Inference.Gateway;

namespace Conclave.Tests.Inference.Remote;

public sealed class RemoteInferenceTests
{
    [Theory]
    [InlineData(400, "inference.bad_request", InferenceFailure.BadRequest, "inference.bad_request")]
    [InlineData(400, "context_length_exceeded", InferenceFailure.ContextTooLong, "inference.context_too_long")]
    [InlineData(401, "invalid_api_key", InferenceFailure.Forbidden, "inference.not_allowed")]
    [InlineData(403, "inference.header_forbidden", InferenceFailure.Forbidden, "inference.header_forbidden")]
    [InlineData(404, "model_not_found", InferenceFailure.ModelNotFound, "inference.model_not_found")]
    [InlineData(409, "inference.key_in_use", InferenceFailure.IdempotencyConflict, "inference.key_in_use")]
    [InlineData(422, "inference.key_reused", InferenceFailure.IdempotencyConflict, "inference.key_reused")]
    [InlineData(429, "insufficient_quota", InferenceFailure.BudgetExhausted, "inference.budget_exhausted")]
    [InlineData(429, "rate_limit_exceeded", InferenceFailure.QueueFull, "inference.queue_full")]
    [InlineData(502, "inference.server_failed", InferenceFailure.ServerFailed, "inference.server_failed")]
    [InlineData(503, "inference.unavailable", InferenceFailure.Unavailable, "inference.unavailable")]
    [InlineData(504, "inference.deadline_exceeded", InferenceFailure.DeadlineExceeded, "inference.deadline_exceeded")]
    public async Task Chat_GatewayRefuses_FailsAsItDidThere(int status, string type, InferenceFailure failure, string code)
    {
        await using var gateway = new OpenAIDouble();
        await gateway.StartAsync();
        gateway.Answer = _ => DoubleAnswer.Fail(status, type, "The words of the gateway.", TimeSpan.FromSeconds(7));
        using var remote = new RemoteInference(gateway.Address, "key", TimeProvider.System);

        var thrown = await Assert.ThrowsAsync<InferenceException>(() => ((IInference)remote).ChatAsync(TestGateway.Call(model: "small"), new CallReport(), default));

        Assert.Equal((failure, code, "The words of the gateway."), (thrown.Failure, thrown.Code, thrown.Message));
        Assert.Equal(failure is InferenceFailure.QueueFull or InferenceFailure.Unavailable || status == 409, thrown.RetryAfter is not null);
    }

    [Fact]
    public async Task Chat_GatewayIsGone_IsUnavailable()
    {
        using var remote = new RemoteInference(new Uri("http://127.0.0.1:1"), "key", TimeProvider.System);

        var thrown = await Assert.ThrowsAsync<InferenceException>(() => ((IInference)remote).ChatAsync(TestGateway.Call(model: "small"), new CallReport(), default));

        Assert.Equal((InferenceFailure.Unavailable, "inference.gateway_away"), (thrown.Failure, thrown.Code));
    }

    [Fact]
    public async Task Chat_ErrorInTheStream_FailsAsItDidThere()
    {
        await using var gateway = new OpenAIDouble();
        await gateway.StartAsync();
        gateway.Answer = _ => DoubleAnswer.Fail(DoubleFailure.ErrorMidStream) with { ErrorType = "inference.cut", ErrorMessage = "The words of the gateway." };
        using var remote = new RemoteInference(gateway.Address, "key", TimeProvider.System);

        var thrown = await Assert.ThrowsAsync<InferenceException>(() => ((IInference)remote).ChatAsync(TestGateway.Call(model: "small"), new CallReport(), default));

        Assert.Equal((InferenceFailure.ServerFailed, "inference.cut", "The words of the gateway."), (thrown.Failure, thrown.Code, thrown.Message));
    }

    [Fact]
    public async Task Chat_WhatACallMayDo_GoesAsHeaders()
    {
        await using var gateway = new OpenAIDouble();
        await gateway.StartAsync();
        using var remote = new RemoteInference(gateway.Address, "key", TimeProvider.System);
        var reservation = Guid.NewGuid();
        var context = new CallContext
        {
            Tenant = "t1",
            AgentId = "ann",
            InstanceId = "i1",
            SessionId = "s1",
            ParentId = "p1",
            Priority = CallPriority.P1,
            DataPolicy = DataPolicy.LocalOnly,
            Cache = CachePolicy.Refresh,
            IdempotencyKey = "k1",
            MaxCost = 0.05m,
            RequiredTags = ["a", "b"],
            Reservation = reservation,
            Deadline = DateTimeOffset.UtcNow.AddMinutes(1),
        };

        await ((IInference)remote).ChatAsync(TestGateway.Call(context: context, model: "small"), new CallReport(), default);

        var headers = gateway.LastChat.Headers;
        foreach (var (name, value) in new[]
        {
            ("x-conclave-agent", "ann"), ("x-conclave-instance", "i1"), ("x-conclave-session", "s1"), ("x-conclave-parent", "p1"), ("x-conclave-priority", "P1"), ("x-conclave-data-policy", "local-only"),
            ("x-conclave-cache", "refresh"), ("Idempotency-Key", "k1"), ("x-conclave-max-cost", "0.05"), ("x-conclave-tags", "a,b"), ("x-conclave-reservation", $"{reservation}"), ("Authorization", "Bearer key"),
        })
            Assert.Equal(value, headers[name]);
        Assert.InRange(int.Parse(headers["x-conclave-timeout-ms"], System.Globalization.CultureInfo.InvariantCulture), 1, 60_000);
    }
}
