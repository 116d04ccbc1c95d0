//! What an app registers must be a job.

use tideway::App;

struct Mail;

fn main() {
    let _ = App::new().job::<Mail>();
}
