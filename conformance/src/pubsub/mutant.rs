//! Brokers that are wrong in one way each. They prove that the suite has teeth: every [`Mutant`] breaks one promise of
//! a good broker, and a guarantee named beforehand must fail for it.
//!
//! The good one is written here for that, as plainly as can be and without [`Inbox`](tideway::pubsub::Inbox), so
//! that the suite and the broker that most backends share check each other.

mod broker;

pub use broker::{MutantBroker, MutantPubSub};

crate::mutants::mutants! {
    /// Some messages come twice.
    Doubled => a_message_reaches_every_subscriber_once,
    /// Some messages are lost in silence.
    Dropped => messages_come_in_the_order_they_were_published,
    /// Some messages change places with the next.
    Swapped => messages_come_in_the_order_they_were_published,
    /// Calls in flight overtake each other.
    Overtaken => calls_in_flight_keep_their_order,
    /// The messages of one publisher are mixed when another speaks too.
    Mixed => two_publishers_keep_their_own_order,
    /// A handle does not get its own messages.
    NoEcho => a_publisher_hears_itself,
    /// `Subscribed` is told before it is true.
    ToldEarly => nothing_is_missed_once_subscribed,
    /// The last message of a channel is kept for who comes later.
    Retained => nothing_comes_before_it_is_asked_for,
    /// An unsubscribe does nothing.
    NeverLeft => nothing_comes_after_an_unsubscribe,
    /// An unsubscribe leaves what is queued.
    QueueKept => what_waits_is_gone_with_an_unsubscribe,
    /// A channel that was left is never subscribed to again.
    LeftForGood => a_channel_can_be_subscribed_to_again,
    /// Only the first subscribe of a channel is answered.
    AnsweredOnce => every_subscribe_is_answered,
    /// Empty messages are lost.
    EmptyLost => payloads_of_every_size_arrive_whole,
    /// Large messages are cut.
    Cut => payloads_of_every_size_arrive_whole,
    /// Bytes that are no text are replaced.
    TextOnly => payloads_of_every_size_arrive_whole,
    /// Messages over the cap are taken.
    CapIgnored => a_message_over_the_cap_is_refused_alone,
    /// What is not kept is an empty history.
    HistoryEmpty => history_is_as_declared,
    /// It is not told when the broker is reached.
    ConnectedUntold => a_handle_is_told_that_it_is_connected,
    /// Names are the same whatever their case.
    CaseIgnored => names_are_exact,
    /// Spaces around a name are dropped.
    Trimmed => names_are_exact,
    /// A star in a name is every other end.
    Patterns => names_are_exact,
    /// Long names are cut.
    NameCut => the_longest_name_is_whole,
    /// Of a call with many channels some are left out.
    BatchCut => many_channels_go_in_one_call,
    /// A slow consumer is not told.
    SlowUntold => a_slow_consumer_is_told,
    /// A slow consumer's queue grows and grows.
    Unbounded => a_slow_consumer_is_told,
    /// A slow consumer that was told hears no more.
    SlowForGood => a_slow_consumer_hears_again,
    /// The bytes of a slow consumer's queue are not counted.
    BytesUncounted => a_queue_is_full_by_bytes_too,
    /// The events never end.
    Endless => events_end_with_the_handle,
    /// A handle that goes leaves its subscriptions.
    Leaked => a_dropped_handle_frees_its_subscriptions,
    /// An unsubscribe only hides what comes.
    Hidden => an_unsubscribe_frees_the_channel,
    /// An unsubscribe takes effect later, whatever was asked since.
    LateLeave => the_last_of_many_changes_counts,
    /// That all is lost is not told.
    CutUntold => a_cut_is_told_and_mended,
    /// After a cut nothing is subscribed to again.
    Forgotten => a_cut_is_told_and_mended,
    /// A message that cannot be sent is dropped without a word.
    SentIntoTheVoid => what_is_published_while_cut_off_is_refused,
    /// After a cut the last message comes again.
    Replayed => nothing_comes_twice_over_cuts,
    /// What is asked for while there is no broker is forgotten.
    QuestionLost => a_question_while_cut_off_is_answered_later,
    /// After a cut all is subscribed to that ever was.
    Resurrected => what_is_left_while_cut_off_stays_left,
}
