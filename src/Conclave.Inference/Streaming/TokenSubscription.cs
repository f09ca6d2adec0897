using System.Threading.Channels;

namespace Conclave.Inference.Streaming;

/// <summary>A piece of what is said on a channel.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Text of <see cref="TokenPieceKind.Text"/>; else empty.</param>
public readonly record struct TokenPiece(TokenPieceKind Kind, string Text);

/// <summary>Kinds of <see cref="TokenPiece"/>.</summary>
public enum TokenPieceKind
{
    /// <summary>An answer begins.</summary>
    Begin,

    /// <summary>More of it.</summary>
    Text,

    /// <summary>It has ended; another may follow.</summary>
    End,
}

/// <summary>Listens to a channel of <see cref="TokenStreams"/>, for one reader.</summary>
public sealed class TokenSubscription : IDisposable
{
    private const int MostWaiting = 20_000;
    private readonly Channel<TokenPiece> _pieces = Channel.CreateBounded<TokenPiece>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    private readonly Action<TokenSubscription> _leave;

    internal TokenSubscription(Action<TokenSubscription> leave) => _leave = leave;

    /// <summary>The pieces as they come. Ends when some were lost, because the reader was too slow or the database was away, or the process stops; never by itself else.</summary>
    public IAsyncEnumerable<TokenPiece> ReadAsync(CancellationToken cancellationToken) => _pieces.Reader.ReadAllAsync(cancellationToken);

    /// <summary>A piece that is there already.</summary>
    public bool TryRead(out TokenPiece piece) => _pieces.Reader.TryRead(out piece);

    /// <summary>Waits for a piece; false at the end.</summary>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _pieces.Reader.WaitToReadAsync(cancellationToken);

    /// <summary>Listens no more.</summary>
    public void Dispose()
    {
        _pieces.Writer.TryComplete();
        _leave(this);
    }

    internal void Take(TokenPiece piece)
    {
        // A text with holes is worse than none.
        if (!_pieces.Writer.TryWrite(piece))
            Break();
    }

    internal void Break() => _pieces.Writer.TryComplete();
}
