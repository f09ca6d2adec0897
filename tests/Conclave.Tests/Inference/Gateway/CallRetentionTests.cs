using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Tests.Inference.Providers;
using Conclave.Tests.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Gateway;

public sealed class CallRetentionTests
{
    [Fact]
    public async Task Run_RecordsPastTheirRetention_GoByWholeMonths()
    {
        await using var database = await PostgresServer.NewDatabaseAsync();
        var clock = new ManualClock();
        await using var keeping = new InferenceMaintenance(database.DataSource, null, clock, NullLogger<InferenceMaintenance>.Instance);
        await using var dropping = new InferenceMaintenance(database.DataSource, TimeSpan.FromDays(60), clock, NullLogger<InferenceMaintenance>.Instance);
        await keeping.RunAsync(default);
        await AddAsync("old");
        clock.Advance(TimeSpan.FromDays(70));
        await keeping.RunAsync(default);
        await AddAsync("young");
        Assert.Equal(2, await CountAsync());

        // The old one's month has not been over for so long yet.
        await dropping.RunAsync(default);
        Assert.Equal(2, await CountAsync());
        clock.Advance(TimeSpan.FromDays(30));
        await dropping.RunAsync(default);

        Assert.Equal("young", await database.QueryAsync<string>("select id from conclave.inference_call"));

        Task<long> CountAsync() => database.QueryAsync<long>("select count(*) from conclave.inference_call");

        async Task AddAsync(string id)
        {
            await using var log = new CallLog(database.DataSource, NullLogger<CallLog>.Instance);
            log.Add(new CallRecord
            {
                Id = id,
                Context = new CallContext { Tenant = "t1" },
                Operation = "chat",
                Requested = "m",
                Outcome = CallPhase.Completed,
                CreatedAt = clock.GetUtcNow(),
                EndedAt = clock.GetUtcNow(),
                Slices = [],
            });
            await log.FlushAsync(default);
        }
    }
}
