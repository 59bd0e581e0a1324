//! slotwise as a task of embassy, over embassy-net: a gateway that writes the readings of its sensors to a cluster.
//!
//! [`gateway`] is what to copy. [`board`] holds what every board has in another way: a clock, an Ethernet driver, an id.
//!
//! Memory: the engine for 4 nodes, 64 slot ranges, 4 connections and 16 commands, 1 KiB to receive and 256 to
//! transmit for each connection, and embassy-net's own windows of 1 KiB in either direction. All of it is static.

#![no_std]
#![no_main]

mod board;
mod gateway;

use cortex_m_rt::entry;
use embassy_executor::{Executor, Spawner};
use embassy_net::{Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_time::Timer;
use static_cell::StaticCell;

use board::Ethernet;
use gateway::{READINGS, Reading};

#[entry]
fn main() -> ! {
    board::start_clock();
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init(Executor::new()).run(start)
}

fn start(spawner: Spawner) {
    // One socket for each connection of the engine, and one for DNS.
    static RESOURCES: StaticCell<StackResources<5>> = StaticCell::new();
    let config = embassy_net::Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 2), 24),
        gateway: Some(Ipv4Address::new(10, 0, 0, 1)),
        dns_servers: Default::default(),
    });
    let (stack, runner) = embassy_net::new(Ethernet, config, RESOURCES.init(StackResources::new()), board::device_id());
    // There is room for each of these tasks once, which is all that is asked for.
    if let (Ok(network), Ok(sensors), Ok(cluster)) = (network(runner), sensors(), cluster(stack)) {
        spawner.spawn(network);
        spawner.spawn(sensors);
        spawner.spawn(cluster);
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Ethernet>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn sensors() -> ! {
    let mut value = 2_000;
    loop {
        for sensor in 0..4 {
            value = (value + 7) % 3_000;
            // Waits while the cluster takes none: readings are not lost, they are taken later.
            READINGS.send(Reading { sensor, value }).await;
        }
        Timer::after_secs(1).await;
    }
}

#[embassy_executor::task]
async fn cluster(stack: Stack<'static>) -> ! {
    gateway::run(stack).await
}
