using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Microsoft.AspNetCore.Http;

namespace Conclave.Tests.Server;

public sealed class ProblemTests
{
    [Theory]
    [InlineData(InferenceFailure.BadRequest, 400)]
    [InlineData(InferenceFailure.ContextTooLong, 400)]
    [InlineData(InferenceFailure.BudgetExhausted, 402)]
    [InlineData(InferenceFailure.Forbidden, 403)]
    [InlineData(InferenceFailure.ModelNotFound, 404)]
    [InlineData(InferenceFailure.IdempotencyConflict, 409)]
    [InlineData(InferenceFailure.SchemaMismatch, 422)]
    [InlineData(InferenceFailure.QueueFull, 429)]
    [InlineData(InferenceFailure.ServerFailed, 502)]
    [InlineData(InferenceFailure.Unavailable, 503)]
    [InlineData(InferenceFailure.DeadlineExceeded, 504)]
    public async Task Handle_FailureOfAModelCall_SaysWhatKindItIs(InferenceFailure failure, int status)
    {
        var context = new DefaultHttpContext { Response = { Body = new MemoryStream() } };

        await Problems.HandleAsync(context, _ => throw new InferenceException(failure, "inference.some", "Some words.") { RetryAfter = TimeSpan.FromSeconds(1.2) });

        Assert.Equal(status, context.Response.StatusCode);
        Assert.Equal("2", context.Response.Headers.RetryAfter);
        var problem = JsonElement.Parse(((MemoryStream)context.Response.Body).ToArray());
        Assert.Equal(("inference.some", "Some words."), (problem.GetProperty("code").GetString(), problem.GetProperty("detail").GetString()));
    }
}
